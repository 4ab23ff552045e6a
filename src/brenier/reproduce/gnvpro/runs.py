"""Every method on every problem from every seed: run, measured and kept."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from brenier.inner.losses import AbstractLoss, LogLoss, SquaredError
from brenier.inner.solution import WarmStart
from brenier.io.plain import to_plain
from brenier.networks.basis import NetworkBasis
from brenier.networks.tanh import initial_tanh_network
from brenier.optimizers.early_stopping import EarlyStopping, StoppingCriteria
from brenier.optimizers.progress import ProgressCallback
from brenier.reproduce.gnvpro.methods import (
    GAUSS_NEWTON,
    GAUSS_NEWTON_RANDOM,
    GNVPRO,
    Method,
    Start,
)
from brenier.reproduce.gnvpro.problems import (
    ENTROPY,
    PARTS,
    SQUARED,
    Part,
    Problem,
    parts_without_fold,
)
from brenier.reproduce.gnvpro.record import Iterates, Run, Store
from brenier.reproduce.gnvpro.setting import SHOWN, GnvproSetting
from brenier.reproduce.runs import Teller
from brenier.varpro.function import AbstractFunction, ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem

LOSSES: Mapping[str, AbstractLoss] = MappingProxyType({SQUARED: SquaredError(), ENTROPY: LogLoss()})
# Beside the seed, of random numbers of their own.
OF_NETWORK, OF_W = 1, 2
# Patience that no run outlasts: every method may do all of its work.
NO_PATIENCE = 10**9


@dataclass(frozen=True)
class Drawn:
    """A problem's rows and first weights, from one seed: the same for all methods.

    Attributes
    ----------
    parts : dict of Part
        Rows.
    separable : SupervisedProblem
        The loss with its penalties.
    theta : (q,)
        The first network.
    """

    parts: dict[str, Part]
    separable: SupervisedProblem
    theta: Float[np.ndarray, " q"]

    @staticmethod
    def of(setting: GnvproSetting, problem: Problem, seed: int) -> "Drawn":
        """Return what a seed draws."""
        parts, loss = problem.rows(seed), LOSSES[problem.loss]
        n, o = (one.shape[1] for one in (parts["train"].X, parts["train"].Y))
        rng = np.random.default_rng([seed, OF_NETWORK])
        network = initial_tanh_network(n, problem.widths, rng, residual=True)
        basis, weights = NetworkBasis(network), setting.regularisation[problem.loss]
        m = basis.n_functions * o
        separable = SupervisedProblem(
            template=basis,
            lower=np.full(m, -np.inf),
            ridge=np.full(m, weights.ridge),
            solver=loss.solver,
            decay=np.asarray(weights.decay),
            loss_of_rows=loss,
        )
        return Drawn(parts, separable, to_vector(network))

    def without_fold(self, fold: int, n_folds: int) -> "Drawn":
        """Return the training rows alone, one fold of them to validate on."""
        return replace(self, parts=parts_without_fold(self.parts["train"], fold, n_folds))

    def function(self, kind: type[AbstractFunction], cold: WarmStart) -> AbstractFunction:
        """Return what is minimised: the loss on the training rows, with or without elimination."""
        train = self.parts["train"]
        rows = np.concatenate([train.X, train.Y], axis=1)
        sample = self.separable.sample(rows, np.full(len(rows), 1 / len(rows)))
        return kind(self.separable, sample, cold, len(rows))

    def first_w(self, start: Start, seed: int) -> Float[np.ndarray, " m"]:
        """Return the last layer that methods without elimination begin with."""
        if start is Start.OPTIMAL:
            reduced = self.function(ReducedFunction, self.separable.cold)
            return reduced.evaluate(self.theta).w
        rng, m = np.random.default_rng([seed, OF_W]), self.separable.template.n_functions
        return rng.normal(size=len(self.separable.lower)) / np.sqrt(m)


@dataclass
class Watch:
    """Measures iterates on all rows; what a run is stopped by is the loss of validation rows.

    Attributes
    ----------
    drawn : Drawn
        Rows and loss.
    classifies : bool
        Whether there are accuracies.
    measured : list of dict
        What was measured, by iterate.
    iterates : list of (theta, w) or None
        The iterates, if they are to be kept.
    """

    drawn: Drawn
    classifies: bool
    measured: list[dict[str, float]] = field(default_factory=list)
    iterates: list[tuple[np.ndarray, np.ndarray]] | None = None

    def __call__(self, theta: Float[np.ndarray, " q"], w: Float[np.ndarray, " m"]) -> float:
        """Measure, and return the validation loss."""
        self.measured.append(self._at(theta, w))
        if self.iterates is not None:
            self.iterates.append((theta, w))
        return self.measured[-1]["validation"]

    def _at(self, theta: Float[np.ndarray, " q"], w: Float[np.ndarray, " m"]) -> dict[str, float]:
        parts, separable = self.drawn.parts, self.drawn.separable
        X, Y = (np.concatenate([getattr(parts[p], f) for p in PARTS]) for f in ("X", "Y"))
        outputs = separable.predictions(theta, w, X)
        losses = np.asarray(separable.loss_of_rows.per_row(outputs, Y))
        ends = np.cumsum([len(parts[name].X) for name in PARTS])[:-1]
        found = {p: float(one.mean()) for p, one in zip(PARTS, np.split(losses, ends), strict=True)}
        if self.classifies:
            right = np.argmax(np.asarray(outputs), axis=1) == np.argmax(Y, axis=1)
            of_parts = zip(PARTS, np.split(right, ends), strict=True)
            found |= {f"{p} accuracy": float(one.mean()) for p, one in of_parts}
        return found


@dataclass(frozen=True)
class Planned:
    """A run that is to be there.

    Attributes
    ----------
    problem, seed, method : Problem, int, Method
        Which.
    fold : int or None
        The fold of the training rows that is left out of them; None: all rows are used.
    """

    problem: Problem
    seed: int
    method: Method
    fold: int | None = None

    @property
    def label(self) -> str:
        """What it is called in names of files."""
        return self.method.label + ("" if self.fold is None else f"-fold{self.fold}")

    def problem_of(self, setting: GnvproSetting) -> Problem:
        """Return the problem with the rows that are used."""
        if self.fold is None:
            return self.problem
        return self.problem.without_fold(self.fold, setting.folds)

    def decides(self, setting: GnvproSetting) -> dict[str, Any]:
        """Return all that decides the numbers, as plain types."""
        settings = setting.decides(self.problem_of(setting), self.method, self.seed)
        folds = {} if self.fold is None else {"fold": self.fold, "folds": setting.folds}
        return to_plain(settings | folds)


def plan_of(setting: GnvproSetting) -> list[Planned]:
    """Return every method on every problem from every seed."""
    return [
        Planned(problem, seed, method)
        for problem in setting.problems
        for seed in setting.seeds
        for method in setting.methods
    ]


def run_all(
    setting: GnvproSetting, plan: Sequence[Planned], store: Store, teller: Teller
) -> list[Run]:
    """Return the runs of a plan, those already in the store taken from there."""
    runs, drawn = [], {}
    for position, one in enumerate(plan, 1):
        problem, seed = one.problem, one.seed
        title = f"[{position}/{len(plan)}] {problem.name}, {one.label}, seed {seed}"
        shown = is_shown(setting, problem, one.method, seed)
        settings = one.decides(setting)
        run = kept = store.find(problem.name, one.label, seed, settings, with_iterates=shown)
        if run is None:
            if (problem.name, seed) not in drawn:
                # Of one seed at a time.
                drawn = {(problem.name, seed): Drawn.of(setting, problem, seed)}
            with teller.follow(title) as callback:
                run, iterates = run_one(
                    setting, one, drawn[problem.name, seed], callback, shown=shown
                )
            store.save(run, iterates)
        runs.append(run)
        best = run.best_at(setting.budget(problem))
        teller.say(f"{title}: validation loss {best:.3g}{'' if kept is None else ' (kept)'}")
    return runs


def is_shown(setting: GnvproSetting, problem: Problem, method: Method, seed: int) -> bool:
    """Whether a run's iterates are in the picture of Figure 2.1."""
    first = problem.name == SHOWN and seed == setting.seeds[0]
    return first and method.label in (GNVPRO, GAUSS_NEWTON, GAUSS_NEWTON_RANDOM)


def run_one(
    setting: GnvproSetting,
    planned: Planned,
    drawn: Drawn,
    tell: ProgressCallback | None = None,
    *,
    shown: bool = False,
) -> tuple[Run, Iterates | None]:
    """Return a run, and its iterates if they are shown.

    Parameters
    ----------
    setting : GnvproSetting
        How much work there is.
    planned : Planned
        Which run.
    drawn : Drawn
        What its seed drew, of all rows.
    tell : callable, optional
        Told of every iterate.
    shown : bool
        Whether iterates are wanted.
    """
    begun = time.perf_counter()
    problem, method, seed = planned.problem_of(setting), planned.method, planned.seed
    if planned.fold is not None:
        drawn = drawn.without_fold(planned.fold, setting.folds)
    optimizer = method.optimizer(seed)
    watch = Watch(drawn, problem.classifies, iterates=[] if shown else None)
    criteria = StoppingCriteria(
        # An iteration costs a pass or more.
        max_iter=setting.passes,
        patience=NO_PATIENCE,
        patience_share=0.0,
        max_work_units=setting.budget(problem),
    )
    early_stopping = EarlyStopping(criteria, watch, tell=tell)
    with jax.enable_x64(True):
        w = drawn.first_w(method.start, seed)
        # The w that a full function begins with; inner solves begin at zero.
        cold = drawn.separable.cold if method.eliminates else WarmStart.cold(w)
        function = drawn.function(optimizer.function, cold)
        # Before any work: with elimination, too, W is the optimal one of the first network.
        watch(drawn.theta, w)
        end = optimizer.minimize(function, function.start(drawn.theta), early_stopping)
    history = _history(watch, early_stopping)
    run = Run(
        problem=problem.name,
        label=planned.label,
        seed=seed,
        settings=planned.decides(setting),
        ended=end.status.value,
        seconds=time.perf_counter() - begun,
        inner_failures=function.counters.failures,
        history=history,
    )
    if watch.iterates is None:
        return run, None
    theta, w = (np.stack(arrays) for arrays in zip(*watch.iterates, strict=True))
    return run, Iterates(theta, w)


def _history(watch: Watch, early_stopping: EarlyStopping) -> dict[str, list[float]]:
    done = early_stopping.iterations
    history = {
        "iteration": [0.0, *(float(one.iteration) for one in done)],
        "work_units": [0.0, *(float(one.work_units) for one in done)],
    }
    return history | {key: [m[key] for m in watch.measured] for key in watch.measured[0]}
