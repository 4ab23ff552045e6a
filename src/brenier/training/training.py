r"""The training loop: from whitened rows to the best potential found.

Candidate 0 is the Gaussian: it is inside the model (network weights zero, quadratics along the
covariance's eigenvectors), and what is returned is never worse than it in training likelihood.
There are several forms of the model, with more or less restraint (`Hyperparameters`). A short search with each
is a race: the form with the best prospects on the held-out rows is the one that all potentials are
searched for with, each from other initial weights. Searches that do not depend on each other run
side by side (`brenier.training.parallel`). The held-out rows also decide when a search
stops, which of its iterates is kept, and how much of each potential, and of the Gaussian, is in the
weighted sum that is returned (`brenier.training.stacking`); without such rows it is the average
(`brenier.potential.merge` says why). Where the data's structure is fine, the searches see every row
in several noisy_copies copies (`brenier.training.noise`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.early_stopping import Iterate, StoppingCriteria
from brenier.optimizers.progress import Certificate, ProgressCallback
from brenier.potential.features import AbstractMap, AbstractPotential, AbstractSeparable
from brenier.potential.gaussian import AbstractGaussian
from brenier.potential.merge import combine
from brenier.status import FitStatus
from brenier.training.final_solve import loss_of_rows, polish
from brenier.training.noise import chosen_noise, noisy_copies
from brenier.training.parallel import one_at_a_time, run_parallel
from brenier.training.run import (
    FIRST_STAGE_ROWS,
    OUT_OF_TIME,
    PARTS,
    Search,
    Watch,
    search,
)
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.stacking import stack
from brenier.training.start import AbstractModel, AbstractStart, JointModel
from brenier.varpro.function import Counters
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import Data

# Iterations after which the forms are compared: after 60 the order on rings was not yet the final
# one (benchmarks/NOTES.md).
RACE = 100
# Shares of the sum below which a potential is left out.
NEGLIGIBLE = 1e-3
# The density of all columns.
JOINT = JointModel()


Map = TypeVar("Map", bound=AbstractMap, covariant=True)


@dataclass(frozen=True)
class TrainingResult(Generic[Map]):
    """The map to return, a potential or a composition, and how it came about.

    Attributes
    ----------
    map : AbstractMap
        With NumPy arrays.
    status : FitStatus
        Of the search that won; of the last one where no time was left for more.
    n_members : int
        Potentials in it; 0 for the Gaussian.
    is_gaussian : bool
        Whether no search did better than the Gaussian.
    best : Iterate or None
        The winning search's best iterate, with the losses of what is returned; None for the
        Gaussian.
    gaussian : AbstractGaussian
        Candidate 0.
    gaussian_loss, gaussian_heldout_loss : float
        Its J (nats).
    certificate : Certificate or None
        Of the winning search's best iterate.
    searches, forms : tuple of Search, tuple of Hyperparameters
        Every search, those of the race first, and its form.
    winner : int
        The best search.
    noise : float
        Standard deviation of the noise on the rows that were searched on, in those of the data.
    seconds : dict
        Wall time: `total`, of the whole fit, and by part (`Search.seconds`), summed over all
        searches.
    """

    map: Map
    status: FitStatus
    n_members: int
    is_gaussian: bool
    best: Iterate | None
    gaussian: AbstractGaussian
    gaussian_loss: float
    gaussian_heldout_loss: float
    certificate: Certificate | None
    searches: tuple[Search, ...]
    forms: tuple[Hyperparameters, ...]
    winner: int
    noise: float
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Run:
    """What searches on the same rows share: these as they are, and as the searches see them."""

    data: Data
    search_data: Data
    settings: Settings
    model: AbstractModel
    gaussian: AbstractGaussian
    noise: float
    on_iteration: ProgressCallback | None
    started: float
    stop: Event

    def starts(self) -> list[AbstractStart]:
        """Return initial weights for every search of every potential, one after the other."""
        rng = np.random.default_rng(self.settings.seed)
        X = self.data.X[:FIRST_STAGE_ROWS]
        n_starts = self.settings.n_estimators * self.settings.n_init
        return [self.model.start(X, self.settings, rng) for _ in range(n_starts)]

    def problem(self, start: AbstractStart, form: Hyperparameters) -> VariableProjection:
        """Return the separable problem of a form at initial weights."""
        features = start.features(form, self.settings, self.gaussian)
        return self.model.problem(features, form, self.settings, self.gaussian)

    def cold(self, problem: VariableProjection) -> WarmStart:
        """Return strictly feasible w."""
        w = self.model.cold_weights(problem.template, self.gaussian)
        return WarmStart.cold(jnp.asarray(w))


@dataclass(frozen=True)
class _Found:
    """A search, what it searched, and for which of the potentials."""

    potential: int
    form: Hyperparameters
    problem: VariableProjection
    search: Search

    @property
    def best(self) -> Iterate:
        """The search's best iterate; only asked for where there is one."""
        if self.search.best is None:
            raise ValueError("Expected a search with an iterate; got one that never got anywhere.")
        return self.search.best

    @property
    def criterion(self) -> float:
        """What searches are compared by."""
        return np.inf if self.search.best is None else self.search.best.criterion

    @property
    def prospect(self) -> float:
        """What the criterion would be, did it go on falling as in the second half of the search."""
        judged = [i.heldout_loss for i in self.search.iterations if np.isfinite(i.heldout_loss)]
        earlier = min(judged[: len(judged) // 2], default=self.criterion)
        return self.criterion - max(0.0, earlier - self.criterion)


@dataclass(frozen=True)
class _Member:
    """A potential that was found: its search's best iterate, w solved for on all rows."""

    found: _Found
    best: Iterate
    certificate: Certificate

    @property
    def potential(self) -> AbstractPotential:
        """The potential itself."""
        problem = self.found.problem
        potential = _potential(problem.features(jnp.asarray(self.best.theta)), self.best.w)
        return jax.tree.map(np.asarray, potential)


@dataclass(frozen=True)
class _Candidate:
    """A potential that could be returned, with its J on the training and the held-out rows."""

    potential: AbstractPotential
    n_members: int
    loss: float
    heldout_loss: float


def train(
    data: Data,
    settings: Settings,
    on_iteration: ProgressCallback | None = None,
    *,
    model: AbstractModel = JOINT,
) -> TrainingResult[AbstractPotential]:
    """Return the best potential found, never worse in training than the Gaussian.

    Call it where float64 is enabled. A KeyboardInterrupt ends the search and the best potential so
    far is returned, with the status saying so.
    """
    runs = _runs([data], settings, [on_iteration], model)
    return _conclude(runs[0], _search_all(runs) or [_no_search(runs[0])])


def train_apart(
    data: Sequence[Data],
    settings: Settings,
    on_iteration: Sequence[ProgressCallback | None],
    *,
    model: AbstractModel,
) -> list[TrainingResult[AbstractPotential] | None]:
    """Return what `train` would, of one potential for each of several splits of the rows.

    The first split's race decides the form of all. The result is None where no search had begun
    when the time was up or Ctrl-C came; the first is never None.

    Parameters
    ----------
    data : sequence of Data
        The splits.
    settings : Settings
        With seeds that count on from split to split; their `n_estimators` does not matter.
    on_iteration : sequence of callable or None
        Who is told of each split's searches.
    model : AbstractModel
        What kind of features.
    """
    runs = _runs(data, replace(settings, n_estimators=1), on_iteration, model)
    searched = _search_all(runs)
    of_each = [[found for found in searched if found.potential == k] for k in range(len(runs))]
    of_each[0] = of_each[0] or [_no_search(runs[0])]
    return [
        _conclude(run, of_run) if of_run else None
        for run, of_run in zip(runs, of_each, strict=True)
    ]


def _runs(
    data: Sequence[Data],
    settings: Settings,
    on_iteration: Sequence[ProgressCallback | None],
    model: AbstractModel,
) -> list[_Run]:
    """Return the runs of one fit, which have one clock and end together."""
    started, stop = time.perf_counter(), Event()
    tell = one_at_a_time(lambda callback, iteration: callback(iteration))
    runs = []
    for k, (rows, callback) in enumerate(zip(data, on_iteration, strict=True)):
        own = replace(settings, seed=settings.seed + k)
        gaussian = model.gaussian(rows.X, rows.weights, own.shrinkage)
        noise = own.noise if own.forms else 0.0
        if noise is None:
            noise = chosen_noise(rows, gaussian)
        seen = noisy_copies(rows, gaussian, noise, own.seed)
        noise = noise if seen is not rows else 0.0
        told = None if callback is None else partial(tell, callback)
        runs.append(_Run(rows, seen, own, model, gaussian, noise, told, started, stop))
    return runs


def _search_all(runs: Sequence[_Run]) -> list[_Found]:
    """Return every search: those of the first run's race, then those of all runs' potentials."""
    settings, stop = runs[0].settings, runs[0].stop
    if not settings.forms:
        return []
    starts = [(run, start) for run in runs for start in run.starts()]
    searched = _race(*starts[0])
    leader = min(searched, key=lambda found: found.prospect, default=None)
    form = settings.forms[0] if leader is None else leader.form
    finished = leader is not None and not _cut_short(leader.search, settings.criteria)
    if stop.is_set():
        return searched
    jobs = [
        partial(_search, *starts[i], form, settings.criteria, potential=i // settings.n_init)
        for i in range(int(finished), len(starts))
    ]
    return searched + _side_by_side(jobs, stop, first=len(searched) + 1)


def _no_search(run: _Run) -> _Found:
    """Return what stands for a search where only the Gaussian is wanted, or no time was left."""
    form = Hyperparameters(0.0, 0)
    status = FitStatus.INTERRUPTED if run.stop.is_set() else FitStatus.CONVERGED
    search_of_nothing = Search(status, None, (), Counters(), dict.fromkeys(PARTS, 0.0))
    return _Found(0, form, run.problem(run.starts()[0], form), search_of_nothing)


def _race(run: _Run, start: AbstractStart) -> list[_Found]:
    """Return a short search with every form from the same start; none where there is one form."""
    forms = run.settings.forms
    criteria = replace(run.settings.criteria, max_iter=min(RACE, run.settings.criteria.max_iter))
    jobs = [partial(_search, run, start, form, criteria, potential=0) for form in forms]
    return _side_by_side(jobs, run.stop, first=1) if len(forms) > 1 else []


def _side_by_side(searches: list[partial[_Found]], stop: Event, *, first: int) -> list[_Found]:
    """Return the searches, numbered from `first`."""
    numbered = [partial(search, number=number) for number, search in enumerate(searches, first)]
    return run_parallel(numbered, stop)


def _cut_short(search: Search, criteria: StoppingCriteria) -> bool:
    """Whether a search of the race would have gone on without it."""
    at_limit = search.status is FitStatus.ITERATION_LIMIT
    return at_limit and len(search.iterations) == RACE < criteria.max_iter


def _search(
    run: _Run,
    start: AbstractStart,
    form: Hyperparameters,
    criteria: StoppingCriteria,
    *,
    potential: int,
    number: int,
) -> _Found:
    problem = run.problem(start, form)
    watch = Watch(criteria, run.started, run.on_iteration, number, run.stop)
    cold = run.cold(problem)
    found = search(problem, run.settings.optimizer, run.search_data, cold, watch)
    return _Found(potential, form, problem, found)


def _winners(searched: Sequence[_Found]) -> list[_Found]:
    """Return the best search of every potential that has one with an iterate."""
    potentials = sorted({found.potential for found in searched})
    of_each = ([found for found in searched if found.potential == i] for i in potentials)
    # Of a search of the race and its repetition, which went on, the latter.
    best = [min(reversed(some), key=lambda found: found.criterion) for some in of_each]
    return [found for found in best if found.search.best is not None]


def _conclude(run: _Run, searched: Sequence[_Found]) -> TrainingResult[AbstractPotential]:
    """Return the best single potential, the sum of all, or the Gaussian."""
    members = [
        _Member(found, *polish(found.problem, run.search_data, found.search))
        for found in _winners(searched)
    ]
    first = min(members, key=lambda member: member.best.criterion, default=None)
    winner = min(searched, key=lambda found: found.criterion) if first is None else first.found
    gaussian = _gaussian_candidate(run, winner.problem)
    if first is None:
        chosen = _unfinished(run, winner.problem)
    else:
        chosen = _choose(run, members, first, gaussian.potential)
    is_gaussian = run.settings.quadratic and _is_worse(chosen, gaussian)
    best, certificate = None, None
    cut_short = (f.search.status for f in searched if f.search.status in OUT_OF_TIME)
    status = next(cut_short, winner.search.status)
    if is_gaussian:
        chosen = gaussian
    elif first is not None:
        best = replace(first.best, loss=chosen.loss, heldout_loss=chosen.heldout_loss)
        certificate = first.certificate
    elif status is not FitStatus.INTERRUPTED:
        # Without quadratics the Gaussian is not in the model: there is nothing to fall back on.
        status = FitStatus.NUMERICAL_FAILURE
    seconds = {part: sum(found.search.seconds[part] for found in searched) for part in PARTS}
    return TrainingResult(
        map=chosen.potential,
        status=status,
        n_members=chosen.n_members,
        is_gaussian=is_gaussian,
        best=best,
        gaussian=run.gaussian,
        gaussian_loss=gaussian.loss,
        gaussian_heldout_loss=gaussian.heldout_loss,
        certificate=certificate,
        searches=tuple(found.search for found in searched),
        forms=tuple(found.form for found in searched),
        winner=next(i for i, found in enumerate(searched) if found is winner),
        noise=run.noise,
        seconds={"total": time.perf_counter() - run.started, **seconds},
    )


def _choose(
    run: _Run, members: Sequence[_Member], best: _Member, gaussian: AbstractPotential
) -> _Candidate:
    """Return the sum of all members and the Gaussian, or the best of them where that is nothing."""
    single = _candidate(run, best.potential, 1)
    if len(members) == 1:
        return single
    potentials: list[AbstractPotential] = [member.potential for member in members]
    shares = np.full(len(members), 1.0 / len(members))
    if run.data.heldout_X is not None and run.data.heldout_weights is not None:
        if run.settings.quadratic:
            potentials.append(gaussian)
        found = stack(potentials, run.data.heldout_X, run.data.heldout_weights)
        if found is None:
            return single
        shares = found
    shares = np.where(shares > NEGLIGIBLE, shares, 0.0)
    n_members = int(np.count_nonzero(shares[: len(members)]))
    if n_members == 0:
        return single
    summed = _candidate(run, combine(potentials, shares), n_members)
    return summed if np.isfinite(summed.loss) else single


def _is_worse(one: _Candidate, other: _Candidate) -> bool:
    """Whether a candidate is worse on the training or held-out rows, or not finite."""
    held_out = not np.isnan(other.heldout_loss)
    return not one.loss <= other.loss or (held_out and not one.heldout_loss <= other.heldout_loss)


def _unfinished(run: _Run, problem: VariableProjection) -> _Candidate:
    """Return the potential at the initial weights, for want of any other."""
    w = np.asarray(run.cold(problem).w)
    return _Candidate(_potential(problem.template, w), 0, np.inf, np.inf)


def _potential(features: AbstractSeparable, w: np.ndarray) -> AbstractPotential:
    """Return the only potential of the map that features of one make."""
    (potential,) = features.with_weights(w).blocks
    return potential


def _gaussian_candidate(run: _Run, problem: VariableProjection) -> _Candidate:
    data, heldout = run.data, float("nan")
    w = run.model.gaussian_weights(problem.template, run.gaussian)
    if not run.settings.quadratic:
        # The baseline only: it is not in the model.
        w = np.asarray(run.cold(problem).w)
    potential = _potential(problem.template, w)
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = run.gaussian.loss(data.heldout_X, data.heldout_weights)
    return _Candidate(potential, 0, run.gaussian.loss(data.X, data.weights), heldout)


def _candidate(run: _Run, potential: AbstractPotential, n_members: int) -> _Candidate:
    data, heldout = run.data, float("nan")
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = loss_of_rows(potential, data.heldout_X, data.heldout_weights)
    return _Candidate(potential, n_members, loss_of_rows(potential, data.X, data.weights), heldout)
