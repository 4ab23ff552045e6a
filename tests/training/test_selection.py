"""Selection of hyperparameters and what follows from it, with runs whose ends are given."""

from dataclasses import replace
from threading import Lock

import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, network, rows

from brenier.data.rows import Split, WeightedRows
from brenier.optimizers.early_stopping import Iterate
from brenier.optimizers.progress import Offsets, Progress
from brenier.status import FitStatus
from brenier.training.ensemble import train_potentials
from brenier.training.families import JointFamily
from brenier.training.folds import Fold
from brenier.training.run import OUT_OF_TIME, PARTS, Run
from brenier.training.selection import extrapolated_validation_loss
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
    selection_iterations=RUNG,
    n_estimators=3,
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
        By hyperparameters: status and held-out loss of their first run; any other is stopped on
        validation. None for the loss: no iterate.
    earlier : dict, optional
        By hyperparameters: the held-out loss in the first half of a run, if it was not that of its
        end.
    """

    def __init__(self, ends, earlier=None):
        self.ends, self.earlier = ends, earlier or {}
        self.made, self._lock = {}, Lock()

    def __call__(self, job, settings, session):
        own, limit = job.hyperparameters, job.criteria.max_iter
        with self._lock:
            status, loss = self.ends[own]
            status = STOPPED if (own, RUNG) in self.made.values() else status
            self.made[job.number] = (own, limit)
        if status in OUT_OF_TIME:
            session.clock.stop.set()
        if loss is None:
            return Run.none(job, status)
        n_iter = limit if status is LIMIT else 1
        losses = np.full(n_iter, loss)
        losses[: n_iter // 2] = self.earlier.get(own, loss)
        theta, w = to_vector(job.problem.template.network), np.asarray(job.cold.w)
        best = Iterate(theta, w, loss, loss, n_iter)
        records = tuple(
            Progress(job.number, i + 1, N_ROWS, -loss, -losses[i], 1, 1, 0.0) for i in range(n_iter)
        )
        return Run(job, status, best, records, Counters(), dict.fromkeys(PARTS, 0.0))

    @property
    def calls(self):
        """Hyperparameters and iteration limit of every run that was made, in their order."""
        return [self.made[number] for number in sorted(self.made)]


def train(script, candidates=CANDIDATES, n_folds=1, **changes):
    """Return what was trained on every fold."""
    settings = replace(SETTINGS, **changes)
    return train_potentials(
        folds(candidates, n_folds), JointFamily(), settings, Session(), runner=script
    )


def numbers(trained):
    return [run.job.number for run in trained.runs]


SHORT = [(candidate, RUNG) for candidate in CANDIDATES]


def test_candidates_are_those_of_the_settings_unless_no_rows_are_held_out():
    assert SETTINGS.candidates(heldout=True) == CANDIDATES
    assert SETTINGS.candidates(heldout=False) == (Hyperparameters(SETTINGS.blind_decay, 2),)
    given = replace(SETTINGS, decay=0.5)
    assert given.candidates(heldout=True) == (Hyperparameters(0.5, 2),)
    # None twice.
    assert replace(SETTINGS, n_radial=0, decays_with_radial=(1e-5, 1e-2)).candidates(
        heldout=True
    ) == (Hyperparameters(1e-5, 0), Hyperparameters(1e-2, 0))


@pytest.mark.parametrize("best", CANDIDATES)
def test_all_potentials_have_the_selected_hyperparameters(best):
    script = Script({candidate: (LIMIT, 1.0 + (candidate != best)) for candidate in CANDIDATES})
    (trained,) = train(script)
    assert script.calls == [*SHORT, *[(best, MANY)] * 3]
    assert [run.job.hyperparameters for run in trained.runs] == [own for own, _ in script.calls]
    assert numbers(trained) == [1, 2, 3, 4, 5, 6]
    assert trained.winner.job.hyperparameters == best
    assert [run.job.member for run in trained.runs] == [0, 0, 0, 0, 1, 2]
    # These runs have gone nowhere: the Gaussian is better, in units of one member.
    assert trained.chosen.is_gaussian
    assert trained.map.features.network.width == WIDTHS[-1] + best.n_radial


@pytest.mark.parametrize(("before", "selected"), [(1.3, RADIAL), (1.15, PLAIN)])
def test_a_loss_that_still_falls_is_extrapolated(before, selected):
    # At 1.1, and at 1.1 - (before - 1.1) after as many iterations again.
    ends = {PLAIN: (LIMIT, 1.0), RADIAL: (LIMIT, 1.1), STIFF: (LIMIT, 2.0)}
    script = Script(ends, earlier={RADIAL: before})
    (trained,) = train(script)
    assert script.calls[3:] == [(selected, MANY)] * 3
    short = [extrapolated_validation_loss(run) for run in trained.runs[:3]]
    assert short == pytest.approx([1.0, 1.1 - (before - 1.1), 2.0], rel=1e-12)


def test_a_run_without_an_iterate_is_never_selected():
    ends = {PLAIN: (FitStatus.NUMERICAL_FAILURE, None), RADIAL: (LIMIT, 9.0), STIFF: (LIMIT, 9.5)}
    script = Script(ends)
    (trained,) = train(script)
    assert script.calls[3:] == [(RADIAL, MANY)] * 3
    assert extrapolated_validation_loss(trained.runs[0]) == np.inf
    assert trained.winner.criterion == 9.0


def test_a_short_run_that_ended_by_itself_is_not_made_again():
    script = Script({PLAIN: (LIMIT, 2.0), RADIAL: (STOPPED, 1.0), STIFF: (LIMIT, 3.0)})
    (trained,) = train(script)
    assert script.calls == [*SHORT, *[(RADIAL, MANY)] * 2]
    assert trained.status is STOPPED


@pytest.mark.parametrize("max_iter", [5, RUNG])
def test_no_run_is_made_again_that_was_not_cut_short(max_iter):
    script = Script(dict.fromkeys(CANDIDATES, (LIMIT, 1.0)))
    (trained,) = train(script, max_iter=max_iter, n_estimators=1)
    assert script.calls == [(candidate, max_iter) for candidate in CANDIDATES]
    assert trained.status is LIMIT


def test_one_candidate_needs_no_selection():
    script = Script({RADIAL: (STOPPED, 1.0)})
    (trained,) = train(script, candidates=(RADIAL,), n_init=2)
    assert script.calls == [(RADIAL, MANY)] * 6
    assert {run.job.hyperparameters for run in trained.runs} == {RADIAL}
    # Of equals, the later run of the first potential.
    assert trained.winner.job.number == 2
    assert [run.job.member for run in trained.runs] == [0, 0, 1, 1, 2, 2]
    assert len({run.best.theta.tobytes() for run in trained.runs}) == 6


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("status", [FitStatus.TIME_LIMIT, FitStatus.INTERRUPTED])
@pytest.mark.parametrize("loss", [None, 0.5])
def test_an_end_during_the_selection_leaves_the_best_so_far(status, loss):
    script = Script({PLAIN: (LIMIT, 1.0), RADIAL: (status, loss)})
    (trained,) = train(script)
    assert script.calls == SHORT[:2]
    # Not that of the run that won, which the selection alone has ended.
    assert trained.status is status
    assert trained.winner.job.hyperparameters == (PLAIN if loss is None else RADIAL)
    assert np.isfinite(trained.map.value(rows()[0])).all()


def test_potentials_of_several_folds_have_what_is_selected_on_the_first():
    ends = {candidate: (LIMIT, 1.0 + (candidate != RADIAL)) for candidate in CANDIDATES}
    script = Script(ends)
    results = train(script, n_folds=3, n_estimators=1)
    assert script.calls == [*SHORT, *[(RADIAL, MANY)] * 3]
    assert [numbers(trained) for trained in results] == [[1, 2, 3, 4], [5], [6]]
    # Of the short run and its repetition, as good, the latter.
    assert [trained.winner.job.number for trained in results] == [4, 5, 6]
    assert len({trained.fold.gaussian_losses[0] for trained in results}) == 3
    assert [trained.chosen.n_members for trained in results] == [0, 0, 0]


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("status", [FitStatus.TIME_LIMIT, FitStatus.INTERRUPTED])
def test_folds_whose_run_has_not_begun_by_the_end_are_left_out(status):
    script = Script({PLAIN: (status, 0.5)})
    (first,) = train(script, candidates=(PLAIN,), n_folds=3, n_estimators=1)
    assert script.calls == [(PLAIN, MANY)]
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


def test_starts_have_the_same_network_and_the_first_radial_units():
    candidates = tuple(Hyperparameters(1e-5, n_radial) for n_radial in range(3))
    script = Script(dict.fromkeys(candidates, (STOPPED, 1.0)))
    (trained,) = train(script, candidates, n_estimators=1)
    thetas = [run.best.theta for run in trained.runs]
    n = len(to_vector(network("bounds")))
    for theta in thetas:
        np.testing.assert_array_equal(theta[:n], thetas[0])
    # B of the first of two radial units, then of the second; then their e.
    np.testing.assert_array_equal(thetas[1][n : n + 4], thetas[2][n : n + 4])
    np.testing.assert_array_equal(thetas[1][n + 4 :], thetas[2][n + 8 : n + 10])
