r"""Runs: every optimizer from every seed, fitted, measured and kept.

The validation loss is seen at the first and at every `heldout_every`-th iterate (the number of
validation rows over that of training rows, so that it never costs more than the training): the
work units to a target are right to that many iterations.
"""

import math
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brenier.estimators import ConvexPotentialFlow
from brenier.io.plain import to_plain
from brenier.optimizers.progress import Progress
from brenier.reproduce.record import PARTS, Outcome, Run, Store
from brenier.reproduce.setting import DEFAULT, Rows, Setting
from brenier.status import FitStatus
from brenier.training.report import FitReport
from brenier.version import __version__

LOG_2_PI = math.log(2 * math.pi)
# Characters kept of an exception's message, and of its traceback.
MOST_TEXT = 4000
HISTORY = ("run", "iteration", "work_units", "seconds", "train", "validation")
Follow = Callable[[str], AbstractContextManager[Callable[[Progress], None] | None]]
"""Given the title of a run: yields what shall be called after its iterations, or None."""


@contextmanager
def follow_nothing(_: str) -> Iterator[None]:
    """Show nothing of a run while it goes on."""
    yield None


@dataclass(frozen=True)
class Teller:
    """Where progress is told: whole lines, and the iterations of a run."""

    say: Callable[[str], None] = lambda _: None
    follow: Follow = follow_nothing


@dataclass
class Recorder:
    """Collects the iterations of all runs of the optimizer in a fit, of which several may go on.

    `Progress` counts the work units of its run; here they are those of all.
    """

    n: int
    also: Callable[[Progress], None] | None = None
    history: dict[str, list[float]] = field(default_factory=lambda: {key: [] for key in HISTORY})
    _units: dict[int, int] = field(default_factory=dict)

    def __call__(self, progress: Progress) -> None:
        """Record an iteration."""
        h = self.history
        self._units[progress.run] = progress.work_units
        h["run"].append(float(progress.run))
        h["iteration"].append(float(progress.iteration))
        h["work_units"].append(float(sum(self._units.values())))
        h["seconds"].append(progress.seconds)
        h["train"].append(loss(progress.train_log_likelihood, self.n))
        h["validation"].append(loss(progress.heldout_log_likelihood, self.n))
        if self.also is not None:
            self.also(progress)


def loss(log_likelihood: float, n: int) -> float:
    """Return the thesis's J (nats) of a mean log-density in n dimensions."""
    return -log_likelihood - 0.5 * n * LOG_2_PI


def run_all(setting: Setting, folder: Path, teller: Teller) -> list[Run]:
    """Return every run of a reproduction, those already in DIR/runs taken from there."""
    store = Store(folder / "runs")
    plan = [(label, seed) for seed in setting.seeds for label in setting.labels]
    runs, compiled = [], set()
    for position, (label, seed) in enumerate(plan, 1):
        title = f"[{position}/{len(plan)}] {label}, seed {seed}"
        kept = store.find(label, seed, settings_of(setting, label, seed))
        if kept is None:
            with teller.follow(title) as callback:
                run, estimator = _attempt(setting, label, seed, callback, compiled)
            store.save(run, estimator)
        run = kept or run
        runs.append(run)
        teller.say(f"{title}: {_summary(run)}{' (kept)' if kept else ''}")
    return runs


def settings_of(setting: Setting, label: str, seed: int) -> dict[str, Any]:
    """Return all that decides the numbers of a run, as plain types."""
    parameters = setting.estimator(label, seed).get_params()
    return to_plain(
        {
            "data": repr(setting.distribution),
            "rows": [setting.n_train, setting.n_validation, setting.n_test],
            "budget": setting.budget,
            "targets": setting.targets,
            "estimator": parameters,
            "brenier": __version__,
        }
    )


def _summary(run: Run) -> str:
    if not run.finished:
        return f"{run.outcome.value.upper()}: {run.message.splitlines()[0]}"
    return f"test J {run.loss['test']:.3f}, {run.units:,} work units, {run.seconds:.1f} s"


def _attempt(
    setting: Setting,
    label: str,
    seed: int,
    callback: Callable[[Progress], None] | None,
    compiled: set[str],
) -> tuple[Run, ConvexPotentialFlow | None]:
    """Return a run and its model; an exception is an outcome like others, Ctrl-C is not."""
    rows = setting.rows(seed)
    recorder = Recorder(setting.distribution.n_features, callback)
    estimator = None
    try:
        with warnings.catch_warnings():
            # How fits end is in their records.
            warnings.simplefilter("ignore", UserWarning)
            if label not in compiled:
                _compile(setting, label, seed, rows)
                compiled.add(label)
            estimator = setting.estimator(label, seed)
            estimator.fit(rows.train, validation_data=rows.validation, callback=recorder)
        return measured(setting, label, seed, estimator, rows, recorder.history), estimator
    except Exception as error:  # noqa: BLE001 - one bad run shall not cost the others
        lines = traceback.format_exception(error)
        message = (
            f"{type(error).__name__}: {error}"[:MOST_TEXT] + f"\n{''.join(lines)[-MOST_TEXT:]}"
        )
        return _without_model(setting, label, seed, message, recorder.history), None


def _compile(setting: Setting, label: str, seed: int, rows: Rows) -> None:
    """Fit for one iteration, so that the times of runs hold no compilation."""
    estimator = setting.estimator(label, seed).set_params(max_iter=1)
    estimator.fit(rows.train, validation_data=rows.validation)


def measured(
    setting: Setting,
    label: str,
    seed: int,
    estimator: ConvexPotentialFlow,
    rows: Rows,
    history: dict[str, list[float]],
) -> Run:
    """Return the run of a fitted estimator."""
    report = estimator.report_
    log_densities = {part: estimator.score_samples(getattr(rows, part)) for part in PARTS}
    J = {
        part: loss(float(np.mean(value)), setting.distribution.n_features)
        for part, value in log_densities.items()
    }
    gaps = setting.distribution.log_density(rows.test) - log_densities["test"]
    return Run(
        label=label,
        seed=seed,
        settings=settings_of(setting, label, seed),
        outcome=_outcome(report, J),
        message=report.message,
        loss=J,
        gap=float(np.mean(gaps)),
        gap_error=float(np.std(gaps) / math.sqrt(len(gaps))),
        history=history,
        units_to=[first_at(history, target, "work_units") for target in setting.targets],
        seconds_to=[first_at(history, target, "seconds") for target in setting.targets],
        units=_units(report, history, label),
        seconds=report.seconds["total"],
        shares=report.seconds,
        cold_newton_steps=_mean(report.newton_steps[:1]),
        cold_chord_steps=_mean(report.chord_steps[:1]),
        warm_newton_steps=_mean(report.newton_steps[1:]),
        warm_chord_steps=_mean(report.chord_steps[1:]),
        inner_failures=report.inner_failures,
        best_iteration=report.best_iteration,
    )


def _mean(values: Sequence[int]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def first_at(history: dict[str, list[float]], target: float, key: str) -> float:
    """Return `key` where the validation loss is first at most `target`; NaN where it never is."""
    for value, validation in zip(history[key], history["validation"], strict=True):
        if validation <= target:
            return float(value)
    return math.nan


def _units(report: FitReport, history: dict[str, list[float]], label: str) -> int:
    if label == DEFAULT and history["work_units"]:
        return int(history["work_units"][-1])
    return report.work_units


def _outcome(report: FitReport, J: dict[str, float]) -> Outcome:
    if report.status is FitStatus.NUMERICAL_FAILURE:
        return Outcome.NUMERICAL_FAILURE
    return Outcome.FINISHED if np.all(np.isfinite(list(J.values()))) else Outcome.NOT_FINITE


def _without_model(
    setting: Setting, label: str, seed: int, message: str, history: dict[str, list[float]]
) -> Run:
    """Return the run of a fit that raised."""
    return Run(
        label=label,
        seed=seed,
        settings=settings_of(setting, label, seed),
        outcome=Outcome.RAISED,
        message=message,
        loss=dict.fromkeys(PARTS, math.nan),
        gap=math.nan,
        gap_error=math.nan,
        history=history,
        units_to=[math.nan] * len(setting.targets),
        seconds_to=[math.nan] * len(setting.targets),
        units=int(history["work_units"][-1]) if history["work_units"] else 0,
        seconds=history["seconds"][-1] if history["seconds"] else 0.0,
        shares={},
        cold_newton_steps=math.nan,
        cold_chord_steps=math.nan,
        warm_newton_steps=math.nan,
        warm_chord_steps=math.nan,
        inner_failures=0,
        best_iteration=0,
    )
