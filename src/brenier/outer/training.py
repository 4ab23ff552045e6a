r"""The training loop: from whitened rows to the best potential found.

Candidate 0 is the Gaussian: it is inside the model (network weights zero, quadratics along the
covariance's eigenvectors), and what is returned is never worse than it in training likelihood.
There are several forms of the model, with more or less restraint (`Form`). A short search with each
is a race: the form that is best on the held-out rows is the one that all potentials have, each
searched for from other initial weights. The held-out rows also decide when a search stops and which
of its iterates is kept. The average of the potentials is returned (`brenier.potential.merge` says
why), unless a single one is better on the held-out rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from brenier.inner.solution import WarmStart
from brenier.outer.function import Counters
from brenier.outer.gaussian import AbstractGaussian
from brenier.outer.monitor import Iterate, Limits
from brenier.outer.parameters import lower_bounds
from brenier.outer.reduced import VariableProjection, potential_loss
from brenier.outer.report import Certificate, ProgressCallback
from brenier.outer.sample import Data, Sample, chunk_rows
from brenier.outer.scheme import projected_gradient
from brenier.outer.search import (
    FIRST_STAGE_ROWS,
    MAX_SEARCH_ROWS,
    Clock,
    Search,
    Watch,
    search,
)
from brenier.outer.settings import Form, Settings
from brenier.outer.start import AbstractModel, AbstractStart, JointModel
from brenier.potential.features import AbstractPotential
from brenier.potential.head import ConvexPotential
from brenier.potential.merge import average
from brenier.status import FitStatus, InnerStatus

# Iterations after which the forms are compared: after 60 the order on rings was not yet the final
# one (benchmarks/NOTES.md).
RACE = 100
# The density of all columns.
JOINT = JointModel()
# Ends after which no other search begins.
OUT_OF_TIME = (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT)


@dataclass(frozen=True)
class TrainingResult:
    """The potential to return, and how it came about.

    Attributes
    ----------
    potential : AbstractPotential
        With NumPy arrays.
    status : FitStatus
        Of the search that won; of the last one where no time was left for more.
    n_members : int
        Potentials averaged in it; 0 for the Gaussian.
    is_gaussian : bool
        Whether no search did better than the Gaussian.
    best : Iterate or None
        The winning search's best iterate, with the losses of the returned potential; None for the
        Gaussian.
    gaussian : AbstractGaussian
        Candidate 0.
    gaussian_loss, gaussian_heldout_loss : float
        Its J (nats).
    certificate : Certificate or None
        Of the winning search's best iterate.
    searches, forms : tuple of Search, tuple of Form
        Every search, those of the race first, and its form.
    winner : int
        The best search.
    seconds : dict
        Wall time by part.
    """

    potential: AbstractPotential
    status: FitStatus
    n_members: int
    is_gaussian: bool
    best: Iterate | None
    gaussian: AbstractGaussian
    gaussian_loss: float
    gaussian_heldout_loss: float
    certificate: Certificate | None
    searches: tuple[Search, ...]
    forms: tuple[Form, ...]
    winner: int
    seconds: dict[str, float]


@dataclass
class _Run:
    """What the searches of one fit share."""

    data: Data
    settings: Settings
    model: AbstractModel
    gaussian: AbstractGaussian
    clock: Clock

    def draw(self, rng: np.random.Generator) -> AbstractStart:
        """Return freshly drawn initial weights."""
        return self.model.start(self.data.X[:FIRST_STAGE_ROWS], self.settings, rng)

    def cold(self, problem: VariableProjection) -> WarmStart:
        """Return strictly feasible w."""
        w = self.model.cold_weights(problem.template, self.gaussian)
        return WarmStart.cold(jnp.asarray(w))


@dataclass(frozen=True)
class _Found:
    """A search, and what it searched."""

    form: Form
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


@dataclass(frozen=True)
class _Member:
    """A potential that was found: its search's best iterate, w solved for on all rows."""

    found: _Found
    best: Iterate
    certificate: Certificate

    @property
    def potential(self) -> ConvexPotential:
        """The potential itself."""
        potential = self.found.problem.potential(self.best.theta, self.best.w)
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
) -> TrainingResult:
    """Return the best potential found, never worse in training than the Gaussian.

    Call it where float64 is enabled. A KeyboardInterrupt ends the search and the best potential so
    far is returned, with the status saying so.
    """
    gaussian = model.gaussian(data.X, data.weights, settings.shrinkage)
    run = _Run(data, settings, model, gaussian, Clock())
    searched, members = _search_all(run, on_iteration)
    if not searched:
        searched = [_no_search(run)]
    return _conclude(run, searched, members)


def _search_all(
    run: _Run, on_iteration: ProgressCallback | None
) -> tuple[list[_Found], list[_Found]]:
    """Return every search, and of each potential's searches the best."""
    settings = run.settings
    if not settings.forms:
        return [], []
    rng = np.random.default_rng(settings.seed)
    start = run.draw(rng)
    searched = _race(run, start, on_iteration)
    fastest = min(searched, key=lambda found: found.criterion, default=None)
    form = settings.forms[0] if fastest is None else fastest.form
    finished = fastest is not None and not _cut_short(fastest.search, settings.limits)
    members: list[_Found] = []
    for potential in range(settings.n_estimators):
        first = len(searched) if potential else 0
        for trial in range(settings.n_init):
            if _ended(searched):
                break
            if potential or trial or not finished:
                number = len(searched) + 1
                searched.append(_search(run, start, form, settings.limits, number, on_iteration))
            start = run.draw(rng)
        # Of a search of the race and its repetition, which went on, the latter.
        members += sorted(reversed(searched[first:]), key=lambda found: found.criterion)[:1]
    return searched, [found for found in members if found.search.best is not None]


def _no_search(run: _Run) -> _Found:
    """Return what stands for a search where only the Gaussian is wanted."""
    form = Form(0.0, 0)
    start = run.draw(np.random.default_rng(run.settings.seed))
    search_of_nothing = Search(FitStatus.CONVERGED, None, (), Counters())
    return _Found(form, start.problem(form, run.settings, run.gaussian), search_of_nothing)


def _race(run: _Run, start: AbstractStart, on_iteration: ProgressCallback | None) -> list[_Found]:
    """Return a short search with every form from the same start; none where there is one form."""
    limits = replace(run.settings.limits, max_iter=min(RACE, run.settings.limits.max_iter))
    searched: list[_Found] = []
    for form in run.settings.forms if len(run.settings.forms) > 1 else ():
        if not _ended(searched):
            searched.append(_search(run, start, form, limits, len(searched) + 1, on_iteration))
    return searched


def _cut_short(search: Search, limits: Limits) -> bool:
    """Whether a search of the race would have gone on without it."""
    at_limit = search.status is FitStatus.ITERATION_LIMIT
    return at_limit and len(search.iterations) == RACE < limits.max_iter


def _ended(searched: list[_Found]) -> bool:
    """Whether no further search may begin."""
    return bool(searched) and searched[-1].search.status in OUT_OF_TIME


def _search(
    run: _Run,
    start: AbstractStart,
    form: Form,
    limits: Limits,
    number: int,
    on_iteration: ProgressCallback | None,
) -> _Found:
    problem = start.problem(form, run.settings, run.gaussian)
    watch = Watch(limits, run.clock, on_iteration, number)
    cold = run.cold(problem)
    return _Found(form, problem, search(problem, run.settings.scheme, run.data, cold, watch))


def _conclude(run: _Run, searched: list[_Found], winners: list[_Found]) -> TrainingResult:
    """Return the best single potential, the average, or the Gaussian."""
    members = [_polish(run, found) for found in winners]
    first = min(members, key=lambda member: member.best.criterion, default=None)
    winner = min(searched, key=lambda found: found.criterion) if first is None else first.found
    gaussian = _gaussian_candidate(run, winner.problem)
    chosen = _unfinished(run, winner.problem) if first is None else _choose(run, members, first)
    is_gaussian = run.settings.quadratic and _is_worse(chosen, gaussian)
    best, certificate = None, None
    status = (searched[-1] if _ended(searched) else winner).search.status
    if is_gaussian:
        chosen = gaussian
    elif first is not None:
        best = replace(first.best, loss=chosen.loss, heldout_loss=chosen.heldout_loss)
        certificate = first.certificate
    elif status is not FitStatus.INTERRUPTED:
        # Without quadratics the Gaussian is not in the model: there is nothing to fall back on.
        status = FitStatus.NUMERICAL_FAILURE
    run.clock.seconds["total"] = run.clock.elapsed
    return TrainingResult(
        potential=chosen.potential,
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
        seconds=run.clock.seconds,
    )


def _choose(run: _Run, members: Sequence[_Member], first: _Member) -> _Candidate:
    """Return the average of all members, or the best of them where that is better."""
    single = _candidate(run, first.potential, 1)
    if len(members) == 1:
        return single
    averaged = _candidate(run, average([member.potential for member in members]), len(members))
    if run.data.heldout_X is None:
        # The average is trusted: it has overfitted less than any of them.
        return averaged if np.isfinite(averaged.loss) else single
    return averaged if averaged.heldout_loss <= single.heldout_loss else single


def _is_worse(one: _Candidate, other: _Candidate) -> bool:
    """Whether a candidate is worse on the training or held-out rows, or not finite."""
    held_out = not np.isnan(other.heldout_loss)
    return not one.loss <= other.loss or (held_out and not one.heldout_loss <= other.heldout_loss)


def _unfinished(run: _Run, problem: VariableProjection) -> _Candidate:
    """Return the potential at the initial weights, for want of any other."""
    w = np.asarray(run.cold(problem).w)
    return _Candidate(ConvexPotential(problem.template, w), 0, np.inf, np.inf)


def _gaussian_candidate(run: _Run, problem: VariableProjection) -> _Candidate:
    data, heldout = run.data, float("nan")
    w = run.model.gaussian_weights(problem.template, run.gaussian)
    if not run.settings.quadratic:
        # The baseline only: it is not in the model.
        w = np.asarray(run.cold(problem).w)
    potential = ConvexPotential(problem.template, w)
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = run.gaussian.loss(data.heldout_X, data.heldout_weights)
    return _Candidate(potential, 0, run.gaussian.loss(data.X, data.weights), heldout)


def _candidate(run: _Run, potential: AbstractPotential, n_members: int) -> _Candidate:
    data, heldout = run.data, float("nan")
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = _loss(potential, data.heldout_X, data.heldout_weights)
    return _Candidate(potential, n_members, _loss(potential, data.X, data.weights), heldout)


def _loss(potential: AbstractPotential, X: np.ndarray, weights: np.ndarray) -> float:
    rows = chunk_rows(potential.n, potential.n_constrained)
    return float(potential_loss(potential, Sample.of(X, weights, rows)))


def _polish(run: _Run, found: _Found) -> _Member:
    """Return a search's best iterate, its w solved for on all rows, with its certificate."""
    data, problem, best = run.data, found.problem, found.best
    sample = Sample.of(
        data.X, data.weights, chunk_rows(problem.template.n, problem.template.n_constrained)
    )
    theta, w = jnp.asarray(best.theta), jnp.asarray(best.w)
    if len(data.X) > MAX_SEARCH_ROWS and found.search.status is not FitStatus.INTERRUPTED:
        solution = problem.solve(theta, sample, WarmStart(w, jnp.zeros_like(w), jnp.asarray(True)))
        if solution.status == InnerStatus.CONVERGED:
            w = solution.w
    _, _, gradient = problem.value_and_gradient(theta, w, sample)
    stationarity, gap = problem.certificate(theta, w, sample)
    certificate = Certificate(
        stationarity=float(stationarity),
        duality_gap=float(gap),
        projected_gradient=projected_gradient(
            best.theta, np.asarray(gradient), lower_bounds(problem.template.network)
        ),
    )
    return _Member(found, replace(best, w=np.asarray(w)), certificate)
