r"""The ensemble: potentials from several initial weights, and their weighted sum.

Potentials have the hyperparameters that are selected on the first fold, and initial weights of
their own; of three or more of one fold, one is the selection's runner-up instead. Those of one fold
are summed, with weights (and one of the Gaussian baseline beside them) by its held-out
rows (`brenier.training.stacking`), or equal ones where there are none. What has learnt from several
folds is averaged: `brenier.potential.merge` says why that is one potential again, at least as good
as its members on average.
"""

from collections.abc import Sequence

import numpy as np

from brenier.potential.features import AbstractMap, AbstractPotential
from brenier.potential.merge import combine
from brenier.status import FitStatus
from brenier.training.as_seen import candidate_as_seen
from brenier.training.candidate import Candidate, Trained, potential_at, potential_of
from brenier.training.families import AbstractFamily
from brenier.training.final_solve import final_solve
from brenier.training.folds import Fold
from brenier.training.phases import SUMMING
from brenier.training.run import Run, run
from brenier.training.selection import Runner, Selection, Start
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.stacking import losses_of_sum, stacking_weights


def train_potentials(
    folds: Sequence[Fold],
    family: AbstractFamily,
    settings: Settings,
    session: Session,
    runner: Runner = run,
) -> list[Trained]:
    """Return the best potential of every fold, never worse in training than the Gaussian.

    Call it where float64 is enabled. A KeyboardInterrupt ends the training with the best so far,
    and the status says so. Folds that no run had begun for by then are left out, but for the first.

    Parameters
    ----------
    folds : sequence of Fold
        One, or one for each potential.
    family : AbstractFamily
        What kind of density.
    settings : Settings
        Of the fit.
    session : Session
        The fit's.
    runner : callable
        What makes a run of a job.
    """
    first, *others = [
        start for k, fold in enumerate(folds) for start in _starts(fold, family, settings, k)
    ]
    runs: list[Run] = []
    if first.fold.candidates:
        runs = Selection(first, others, family, settings, session, runner).runs()
    of_each = [[run for run in runs if run.job.fold is fold] for fold in folds]
    of_each[0] = of_each[0] or [_no_run(first, family, settings, session)]
    return [
        conclude(fold, of_fold, family, settings, session)
        for fold, of_fold in zip(folds, of_each, strict=True)
        if of_fold
    ]


def conclude(
    fold: Fold, runs: Sequence[Run], family: AbstractFamily, settings: Settings, session: Session
) -> Trained:
    """Return the weighted sum of the best runs' potentials, or the Gaussian where it is better.

    Where there is no time for the sum, the best run's potential as the run has left it.
    """
    session.phases.begin(SUMMING)
    found = _members(runs, settings)
    winner = min(found or runs, key=_criterion)
    chosen = _unfinished(winner)
    if found:
        results = session.results(
            lambda: _summed(fold, found, winner, family, settings), session.limits.conclusion
        )
        chosen = results[0] if results else _as_seen(fold, winner, settings)
    gaussian = gaussian_candidate(fold, winner, family, settings)
    if settings.algorithm.quadratic and _is_worse(chosen, gaussian):
        chosen = gaussian
    return Trained.of(fold, chosen, runs, winner, session)


def _summed(
    fold: Fold, runs: Sequence[Run], winner: Run, family: AbstractFamily, settings: Settings
) -> Candidate:
    """Return the weighted sum of runs' potentials, each finally solved; the winner is the best."""
    members = [final_solve(run, settings) for run in runs]
    best = next(one for one in members if one.job is winner.job)
    return _sum(fold, members, best, gaussian_candidate(fold, winner, family, settings), settings)


def _as_seen(fold: Fold, run: Run, settings: Settings) -> Candidate:
    """Return a run's potential, for want of time for more."""
    return candidate_as_seen(fold, _potential_of(run), 1, run, settings)


def average(maps: Sequence[AbstractMap]) -> AbstractMap:
    """Return the one map, or the gradient of the potentials' average."""
    if len(maps) == 1:
        return maps[0]
    potentials = [map_ for map_ in maps if isinstance(map_, AbstractPotential)]
    if len(potentials) < len(maps):
        raise TypeError("Expected potentials, which can be averaged; got compositions.")
    return combine(potentials, np.full(len(potentials), 1.0 / len(potentials)))


def original(run: Run, runs: Sequence[Run]) -> Run:
    """Return the run that was finally solved, as it was before."""
    return next(other for other in runs if other.job is run.job)


def _starts(fold: Fold, family: AbstractFamily, settings: Settings, turn: int = 0) -> list[Start]:
    """Return initial weights for every run of every potential; `turn` counts the folds."""
    rng = np.random.default_rng(fold.seed)
    X = fold.split.train.X[: settings.whole_rows]
    return [
        Start(fold, family.start(X, settings, fold.candidates, rng, turn + member), member)
        for member in range(_n_started(fold, settings))
        for _ in range(settings.n_init)
    ]


def _n_started(fold: Fold, settings: Settings) -> int:
    """Return how many potentials begin: of three or more, one is left by the selection."""
    selects = len(fold.candidates) > 1
    return settings.n_estimators - (selects and settings.n_estimators > 2)


def _no_run(start: Start, family: AbstractFamily, settings: Settings, session: Session) -> Run:
    """Return what stands for a run where only the Gaussian is wanted, or no time was left."""
    status = FitStatus.INTERRUPTED if session.clock.stop.is_set() else FitStatus.CONVERGED
    none = Hyperparameters(0.0, 0)
    return Run.none(
        start.job(family, settings, none, settings.criteria, session.next_run()), status
    )


def _members(runs: Sequence[Run], settings: Settings) -> list[Run]:
    """Return the runs whose potentials are summed, all with an iterate.

    The best from each initial weights, and, where there is room for one more, the runner-up of the
    first: it has cost its time already, and errs in other places.
    """
    found: list[Run] = []
    for member in sorted({one.job.member for one in runs}):
        best = min((one for one in runs if one.job.member == member), key=_criterion)
        found.extend([best] if best.best is not None else [])
    if len(found) < settings.n_estimators:
        left = [one for one in runs if one.best is not None and one.job.member == 0]
        found.extend(sorted(left, key=_criterion)[1:2])
    return found


def _criterion(run: Run) -> float:
    return run.criterion


def _sum(
    fold: Fold,
    members: Sequence[Run],
    best: Run,
    gaussian: Candidate,
    settings: Settings,
) -> Candidate:
    """Return the sum of all members and the Gaussian, or the best of them where that is nothing."""
    potential = _potential_of(best)
    losses = losses_of_sum([potential], np.ones(1), fold.split, settings)
    single = Candidate(potential, *losses, 1, best)
    if len(members) == 1:
        return single
    potentials: list[AbstractPotential] = [_potential_of(run) for run in members]
    weights = np.full(len(members), 1.0 / len(members))
    if fold.split.heldout is not None:
        if settings.algorithm.quadratic:
            potentials.extend(gaussian.map.potentials)
        found = stacking_weights(potentials, fold.split.heldout, settings)
        if found is None:
            return single
        weights = found
    weights = np.where(weights > settings.negligible_weight, weights, 0.0)
    n_members = int(np.count_nonzero(weights[: len(members)]))
    if n_members == 0:
        return single
    losses = losses_of_sum(potentials, weights, fold.split, settings)
    summed = Candidate(combine(potentials, weights), *losses, n_members, best)
    return summed if np.isfinite(summed.loss) else single


def _is_worse(one: Candidate, other: Candidate) -> bool:
    """Whether a candidate is worse on the training or held-out rows, or not finite."""
    held_out = not np.isnan(other.heldout_loss)
    return not one.loss <= other.loss or (held_out and not one.heldout_loss <= other.heldout_loss)


def gaussian_candidate(
    fold: Fold, run: Run, family: AbstractFamily, settings: Settings
) -> Candidate:
    """Return the baseline, as the potential of a run's features."""
    problem = run.job.problem
    w = family.gaussian_weights(problem.template, fold.gaussian)
    if not settings.algorithm.quadratic:
        # The baseline only: it is not in the model.
        w = np.asarray(run.job.cold.w)
    potential = potential_of(problem, problem.template, w)
    return Candidate(potential, *fold.gaussian_losses, 0, is_gaussian=True)


def gaussian_alone(
    fold: Fold, family: AbstractFamily, settings: Settings, session: Session
) -> Candidate:
    """Return the baseline of a fold that no run was made on, along its own axes."""
    first = _starts(fold, family, settings)[0]
    return gaussian_candidate(fold, _no_run(first, family, settings, session), family, settings)


def _unfinished(run: Run) -> Candidate:
    """Return the potential at the initial weights, for want of any other."""
    problem = run.job.problem
    potential = potential_of(problem, problem.template, np.asarray(run.job.cold.w))
    return Candidate(potential, np.inf, np.inf, 0)


def _potential_of(run: Run) -> AbstractPotential:
    """Return the potential at a run's best iterate, with NumPy arrays."""
    if run.best is None:
        raise ValueError("Expected a run with an iterate; got one that never got anywhere.")
    return potential_at(run.job.problem, run.best)
