"""Selection of hyperparameters and what follows from it, with runs whose ends are given."""

import time
from collections import Counter
from dataclasses import replace
from threading import Lock

import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, network, rows

from brenier.data.rows import Split, WeightedRows
from brenier.optimizers.early_stopping import (
    Clock,
    EarlyStopping,
    Iterate,
    StopRun,
)
from brenier.optimizers.progress import Offsets, Progress
from brenier.status import FitStatus
from brenier.training.ensemble import train_potentials
from brenier.training.families import JointFamily
from brenier.training.folds import Fold
from brenier.training.run import PARTS, Run
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, default_settings
from brenier.varpro.function import Counters
from brenier.varpro.parameters import to_vector

pytestmark = pytest.mark.usefixtures("x64")

PLAIN, RADIAL, STIFF = CANDIDATES = (
    Hyperparameters(1e-5, 0),
    Hyperparameters(1e-4, 2),
    Hyperparameters(1e-2, 2),
)
LIMIT, STOPPED = FitStatus.ITERATION_LIMIT, FitStatus.STOPPED_ON_VALIDATION
MANY, RUNG = 1000, 100
SETTINGS = replace(
    default_settings(),
    widths=WIDTHS,
    n_radial=2,
    tau=1e-3,
    noise=0.0,
    max_iter=MANY,
    rung=RUNG,
    # Three of them begin; the selection's runner-up is the fourth.
    n_estimators=4,
)


def folds(candidates, n_folds):
    """Return folds whose training rows are not quite the same."""
    X, weights = rows()
    whole = WeightedRows(X, weights, np.arange(N_ROWS) / N_ROWS)
    splits = [Split(whole[k:], whole[:40]) for k in range(n_folds)]
    return [
        Fold.of(split, split, Offsets(), JointFamily(), SETTINGS, 0, candidates=candidates)
        for split in splits
    ]


class Script:
    """Makes runs whose ends are given.

    Parameters
    ----------
    ends : dict
        By hyperparameters: status and held-out loss of the candidate's run; any run from another
        start, and what goes on after the rung, is stopped on validation. None for the loss: no
        iterate.
    earlier : dict, optional
        By hyperparameters: the held-out loss in the first half of the iterations up to the rung, if
        it was not that of the end.
    """

    def __init__(self, ends, earlier=None):
        self.ends, self.earlier = ends, earlier or {}
        self.made, self._begun, self._lock = {}, Counter(), Lock()

    def __call__(self, job, settings, session):
        own = job.hyperparameters
        status, loss = self.ends[own]
        with self._lock:
            status = STOPPED if self._begun[own] else status
            self._begun[own] += 1
        seen = EarlyStopping(job.criteria)
        losses = [] if loss is None else [loss] * (RUNG + 1 if status is LIMIT else 1)
        losses[: len(losses) // 2] = [self.earlier.get(own, loss)] * (len(losses) // 2)
        status = self._iterate(losses, status, job, session, seen)
        with self._lock:
            self.made[job.number] = (own, len(seen.iterations))
        return Run(
            job,
            status,
            seen.best,
            tuple(seen.iterations),
            Counters(),
            dict.fromkeys(PARTS, 0.0),
        )

    def _iterate(self, losses, status, job, session, seen):
        """Go through the iterates; return how that ended."""
        theta, w = to_vector(job.problem.template.network), np.asarray(job.cold.w)
        for i, loss in enumerate(losses[: job.criteria.max_iter]):
            seen.iterations.append(Progress(job.number, i + 1, N_ROWS, -loss, -loss, 1, 1, 0.0))
            if seen.best is None or loss < seen.best.criterion:
                seen.best = Iterate(theta, w, loss, loss, i + 1)
            if status is not LIMIT or i + 1 == job.criteria.max_iter:
                break
            try:
                job.pause(seen)
            except StopRun as stop:
                return stop.status
        else:
            status = STOPPED if status is LIMIT else status
        return self._out_of_time(session, status) if status.out_of_time else status

    def _out_of_time(self, session, status):
        """Stop the fit once all candidates have begun; for want of time, once that has come."""
        while len(self._begun) < len(self.ends):
            time.sleep(0.01)
        if status is FitStatus.TIME_LIMIT:
            time.sleep(max(0.0, (session.clock.max_seconds or 0.0) - session.clock.elapsed))
        session.clock.stop.set()
        return status

    @property
    def calls(self):
        """Hyperparameters and number of iterations of every run that was made, in their order."""
        return [self.made[number] for number in sorted(self.made)]


def train(script, candidates=CANDIDATES, n_folds=1, session=None, **changes):
    """Return what was trained on every fold."""
    settings = replace(SETTINGS, **changes)
    return train_potentials(
        folds(candidates, n_folds), JointFamily(), settings, session or Session(), runner=script
    )


def numbers(trained):
    return [run.job.number for run in trained.runs]


def calls(best, n_others):
    """Return the runs of the candidates, the best of which goes on, and those of other starts."""
    of_candidates = [(own, RUNG + (own == best)) for own in CANDIDATES]
    return [*of_candidates, *[(best, 1)] * n_others]


def test_candidates_are_those_of_the_settings_unless_no_rows_are_held_out():
    assert SETTINGS.candidates(heldout=True) == CANDIDATES
    assert SETTINGS.candidates(heldout=False) == (Hyperparameters(SETTINGS.blind_decay, 2),)
    given = replace(SETTINGS, decay=0.5)
    assert given.candidates(heldout=True) == (Hyperparameters(0.5, 2),)
    assert [one.n_radial for one in replace(SETTINGS, n_radial=0).candidates(heldout=True)] == [
        0
    ] * 3


@pytest.mark.parametrize("best", CANDIDATES)
def test_all_potentials_have_the_selected_hyperparameters(best):
    script = Script({candidate: (LIMIT, 1.0 + (candidate != best)) for candidate in CANDIDATES})
    (trained,) = train(script)
    assert script.calls == calls(best, 2)
    assert [run.job.hyperparameters for run in trained.runs] == [own for own, _ in script.calls]
    assert numbers(trained) == [1, 2, 3, 4, 5]
    assert trained.winner.job.hyperparameters == best
    assert [run.job.member for run in trained.runs] == [0, 0, 0, 1, 2]
    # These runs have gone nowhere: the Gaussian is better, in units of one member.
    assert trained.chosen.is_gaussian
    assert trained.map.features.network.width == WIDTHS[-1] + best.n_radial


@pytest.mark.parametrize(("before", "selected"), [(1.3, RADIAL), (1.15, PLAIN)])
def test_a_loss_that_still_falls_is_extrapolated(before, selected):
    # At 1.1, and at 1.1 - (before - 1.1) after as many iterations again.
    ends = {PLAIN: (LIMIT, 1.0), RADIAL: (LIMIT, 1.1), STIFF: (LIMIT, 2.0)}
    script = Script(ends, earlier={RADIAL: before})
    (trained,) = train(script)
    assert script.calls == calls(selected, 2)


def test_a_run_without_an_iterate_is_never_selected():
    ends = {PLAIN: (FitStatus.NUMERICAL_FAILURE, None), RADIAL: (LIMIT, 9.0), STIFF: (LIMIT, 9.5)}
    script = Script(ends)
    (trained,) = train(script)
    assert script.calls[1:] == calls(RADIAL, 2)[1:]
    assert script.calls[0] == (PLAIN, 0)
    assert trained.winner.criterion == 9.0


def test_a_run_that_ended_before_the_rung_may_be_the_best():
    script = Script({PLAIN: (LIMIT, 2.0), RADIAL: (STOPPED, 1.0), STIFF: (LIMIT, 3.0)})
    (trained,) = train(script)
    assert script.calls == [(PLAIN, RUNG), (RADIAL, 1), (STIFF, RUNG), *[(RADIAL, 1)] * 2]
    assert trained.status is STOPPED


@pytest.mark.parametrize("max_iter", [5, RUNG])
def test_the_rung_is_never_after_the_last_iteration(max_iter):
    script = Script(dict.fromkeys(CANDIDATES, (LIMIT, 1.0)))
    (trained,) = train(script, max_iter=max_iter, n_estimators=1)
    assert script.calls == [(candidate, max_iter) for candidate in CANDIDATES]
    assert trained.status is LIMIT


def test_one_candidate_needs_no_selection():
    script = Script({RADIAL: (STOPPED, 1.0)})
    (trained,) = train(script, candidates=(RADIAL,), n_init=2, n_estimators=3)
    assert script.calls == [(RADIAL, 1)] * 6
    assert {run.job.hyperparameters for run in trained.runs} == {RADIAL}
    assert trained.winner.job.number == 1
    assert [run.job.member for run in trained.runs] == [0, 0, 1, 1, 2, 2]
    assert len({run.best.theta.tobytes() for run in trained.runs}) == 6


@pytest.mark.parametrize("status", [FitStatus.TIME_LIMIT, FitStatus.INTERRUPTED])
@pytest.mark.parametrize("loss", [None, 0.5])
def test_an_end_during_the_selection_leaves_the_best_so_far(status, loss):
    script = Script({PLAIN: (LIMIT, 1.0), RADIAL: (status, loss), STIFF: (LIMIT, 2.0)})
    limit = 1.0 if status is FitStatus.TIME_LIMIT else None
    (trained,) = train(script, session=Session(Clock(limit)))
    # Nobody waits at the rung for ever, and no other run begins.
    assert script.calls == [(PLAIN, RUNG), (RADIAL, 0 if loss is None else 1), (STIFF, RUNG)]
    assert {run.status for run in trained.runs} == {status}
    # Not that of the run that won, which the selection alone has ended.
    assert trained.status is status
    assert trained.winner.job.hyperparameters == (PLAIN if loss is None else RADIAL)
    assert np.isfinite(trained.map.value(rows()[0])).all()


def test_potentials_of_several_folds_have_what_is_selected_on_the_first():
    ends = {candidate: (LIMIT, 1.0 + (candidate != RADIAL)) for candidate in CANDIDATES}
    script = Script(ends)
    results = train(script, n_folds=3, n_estimators=1)
    assert script.calls == calls(RADIAL, 2)
    assert [numbers(trained) for trained in results] == [[1, 2, 3], [4], [5]]
    assert [trained.winner.job.number for trained in results] == [2, 4, 5]
    assert len({trained.fold.gaussian_losses[0] for trained in results}) == 3
    assert [trained.chosen.n_members for trained in results] == [0, 0, 0]


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("status", [FitStatus.TIME_LIMIT, FitStatus.INTERRUPTED])
def test_folds_whose_run_has_not_begun_by_the_end_are_left_out(status):
    script = Script({PLAIN: (status, 0.5)})
    (first,) = train(script, candidates=(PLAIN,), n_folds=3, n_estimators=1)
    assert script.calls == [(PLAIN, 1)]
    assert first.status is status


def test_a_fit_that_was_stopped_before_it_began_has_the_gaussian():
    session = Session()
    session.clock.stop.set()
    script = Script({})
    results = train_potentials(folds((PLAIN,), 2), JointFamily(), SETTINGS, session, runner=script)
    assert script.calls == []
    (trained,) = results
    assert trained.status is FitStatus.INTERRUPTED
    assert trained.cut_off_at_once
    assert trained.map.gradient_and_hessian(rows()[0])[0].shape == (2, N_ROWS)


def test_all_candidates_start_from_the_same_weights():
    candidates = tuple(Hyperparameters(1e-5, n_radial) for n_radial in range(3))
    script = Script(dict.fromkeys(candidates, (STOPPED, 1.0)))
    (trained,) = train(script, candidates, n_estimators=1)
    thetas = [run.best.theta for run in trained.runs]
    n = len(to_vector(network("bounds")))
    # B and e of two radial units, which some candidates leave idle.
    assert len(thetas[0]) == n + 2 * (4 + 2)
    for theta in thetas:
        np.testing.assert_array_equal(theta, thetas[0])
    idle = [int(np.sum(run.job.problem.pinned)) for run in trained.runs]
    assert idle == [2, 1, 0]
