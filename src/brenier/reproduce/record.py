"""What is kept of one run, and the files it is kept in.

A run is two files in DIR/runs: a JSON with all numbers, and the model. The JSON is written last and
at once, so that a run is either there as a whole or has to be done again.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from brenier.estimators import ConvexPotentialFlow, load
from brenier.io.atomic import write_atomically
from brenier.io.plain import to_plain, with_nan
from brenier.training.stored_report import MALFORMED, check_types

PARTS = ("train", "validation", "test")


class Outcome(Enum):
    """How a run ended, seen from outside."""

    FINISHED = "finished"
    NOT_FINITE = "loss not finite"
    NUMERICAL_FAILURE = "numerical failure"
    RAISED = "raised an exception"


@dataclass(frozen=True)
class Run:
    """One optimizer from one seed, measured.

    Attributes
    ----------
    label, seed : str, int
        Optimizer (or "default"), and the seed of rows and initial weights.
    settings : dict
        All that decides the numbers; a run is used again only if it is the same.
    outcome : Outcome
        Whether it ended well.
    message : str
        How the fit says it ended, or the exception.
    loss : dict
        J (nats) of the returned model on "train", "validation" and "test" rows.
    gap, gap_error : float
        Mean of log p_true - log p over the test rows, and its standard error: an estimate of the
        KL divergence (nats).
    history : dict of lists
        By accepted iterate: `run` (which run of the optimizer), `iteration`, `work_units`,
        `seconds`, `train` and `validation` J; of all runs of the fit, in the order of time.
    units_to, seconds_to : list of float
        Work units and seconds until the validation J was first seen at each target; NaN where it
        never was.
    units, seconds : int, float
        Spent in all.
    shares : dict
        Seconds of the fit by part, as `FitReport.seconds`.
    cold_newton_steps, warm_newton_steps : float
        Steps of the inner solver with a Hessian of their own, in the first inner solve and in all
        others on average, of the run of the optimizer that won; NaN where w is not eliminated.
    cold_chord_steps, warm_chord_steps : float
        The same of steps that kept the Hessian of an earlier one.
    inner_failures : int
        Inner solves that did not converge.
    best_iteration : int
        Which iterate of its run of the optimizer was returned.
    """

    label: str
    seed: int
    settings: dict[str, Any]
    outcome: Outcome
    message: str
    loss: dict[str, float]
    gap: float
    gap_error: float
    history: dict[str, list[float]]
    units_to: list[float]
    seconds_to: list[float]
    units: int
    seconds: float
    shares: dict[str, float]
    cold_newton_steps: float
    cold_chord_steps: float
    warm_newton_steps: float
    warm_chord_steps: float
    inner_failures: int
    best_iteration: int

    @property
    def finished(self) -> bool:
        """Whether there is a model with finite losses."""
        return self.outcome is Outcome.FINISHED

    @property
    def eliminates(self) -> bool:
        """Whether w was eliminated: whether there were inner solves."""
        return not math.isnan(self.cold_newton_steps)

    def share(self, part: str) -> float:
        """Return the share of a part in the wall time of the runs of the optimizer."""
        return self.shares[part] / self.shares["runs"] if self.shares else float("nan")


@dataclass(frozen=True)
class Store:
    """The folder DIR/runs."""

    folder: Path

    def path(self, label: str, seed: int) -> Path:
        """Return where the numbers of a run are."""
        return self.folder / f"{label}-seed{seed}.json"

    def model_path(self, label: str, seed: int) -> Path:
        """Return where the model of a run is."""
        return self.folder / f"{label}-seed{seed}.brenier"

    def save(self, run: Run, estimator: ConvexPotentialFlow | None) -> None:
        """Keep a run: first its model, if it has one, then its numbers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if estimator is not None:
            estimator.save(self.model_path(run.label, run.seed))
        plain = to_plain({**asdict(run), "outcome": run.outcome.name})
        write_json(self.path(run.label, run.seed), plain)

    def find(self, label: str, seed: int, settings: Mapping[str, Any]) -> Run | None:
        """Return the kept run of these very settings; None if there is none, or it raised."""
        try:
            plain = json.loads(self.path(label, seed).read_text())
            if plain["settings"] != to_plain(settings) or plain["outcome"] == Outcome.RAISED.name:
                return None
            if (plain["label"], plain["seed"]) != (label, seed):
                return None
            if not self.model_path(label, seed).exists():
                return None
            return _run(plain)
        except (OSError, *MALFORMED):
            return None

    def model(self, label: str, seed: int) -> ConvexPotentialFlow:
        """Return the fitted estimator of a run."""
        return load(self.model_path(label, seed))


def _run(plain: dict[str, Any]) -> Run:
    """Return the run that JSON was made of; null stands for NaN."""
    values = {field.name: with_nan(plain[field.name]) for field in fields(Run)}
    values["settings"] = plain["settings"]
    run = Run(**{**values, "outcome": Outcome[plain["outcome"]]})
    check_types(run, "run")
    if not {*PARTS} <= run.loss.keys() or len({len(one) for one in run.history.values()}) > 1:
        raise ValueError("Expected the losses of a run and its history; got others.")
    return run


def write_json(path: Path, plain: Any) -> None:
    """Write plain types as JSON, the file being replaced whole or not at all."""
    write_atomically(path, json.dumps(plain, indent=1, allow_nan=False).encode())
