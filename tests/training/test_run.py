"""One run: stages of a long table, what ends it, and the final solve on all rows."""

import time
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, rows

from brenier.data.rows import Split, WeightedRows
from brenier.optimizers.early_stopping import Clock
from brenier.optimizers.progress import Offsets
from brenier.status import FitStatus
from brenier.training.families import JointFamily
from brenier.training.final_solve import final_solve
from brenier.training.folds import Fold
from brenier.training.run import PARTS, Run, run
from brenier.training.selection import Start
from brenier.training.session import Session
from brenier.training.settings import default_settings
from brenier.varpro.mini_batches import BATCH_ROWS, STEPS
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import loss_on
from brenier.varpro.sample import PaddedSample

pytestmark = pytest.mark.usefixtures("x64")

SETTINGS = replace(
    default_settings(), widths=WIDTHS, n_radial=0, tau=1e-3, noise=0.0, decay=1e-3, max_iter=6
)
LONG = replace(SETTINGS, whole_rows=20)
SHORT = replace(LONG, max_iter=1)


def weighted(X, weights):
    return WeightedRows(X, weights, np.arange(len(X)) / len(X))


def job_on(settings, heldout=None):
    """Return the run that is to be made of all rows, and some to hold out."""
    split, family = Split(weighted(*rows()), heldout), JointFamily()
    fold = Fold.of(split, split, Offsets(), family, settings, seed=0)
    rng = np.random.default_rng(0)
    start = Start(fold, family.start(split.train.X, settings, fold.candidates, rng), 0)
    return start.job(family, settings, fold.candidates[0], settings.criteria, number=3)


def loss_of(job, iterate, X, weights):
    """Return J of an iterate on rows."""
    map_ = job.problem.map(jnp.asarray(iterate.theta), jnp.asarray(iterate.w))
    return float(loss_on(map_, PaddedSample.of(X, weights, 128)))


def test_a_run_descends_from_its_template_and_tells_of_every_iterate():
    told, job = [], job_on(SETTINGS)
    made = run(job, SETTINGS, Session(tell=told.append))
    assert made.status is FitStatus.ITERATION_LIMIT
    assert made.iterations == tuple(told)
    assert [(p.run, p.iteration, p.n_rows) for p in told] == [(3, k + 1, N_ROWS) for k in range(6)]
    found = [progress.train_log_likelihood for progress in told]
    assert made.best.number == 1 + np.argmax(found)
    assert made.log_likelihood == -made.criterion == max(found)
    assert made.criterion == pytest.approx(loss_of(job, made.best, *rows()), rel=1e-12)
    start = to_vector(job.problem.template.network)
    assert (made.best.theta != start).any()
    assert made.counters.failures == 0
    assert set(made.seconds) == set(PARTS)
    assert all(seconds >= 0 for seconds in made.seconds.values())
    assert made.seconds["heldout"] == 0
    assert made.seconds["inner"] + made.seconds["gradient"] < made.seconds["runs"]
    # The same once more, to the last bit.
    again = run(job, SETTINGS, Session())
    np.testing.assert_array_equal(again.best.theta, made.best.theta)


def test_a_long_table_is_learnt_by_mini_batches():
    told, job = [], job_on(LONG)
    made = run(job, LONG, Session(tell=told.append))
    assert made.status is FitStatus.ITERATION_LIMIT
    assert [p.work_units for p in told] == [STEPS * BATCH_ROWS * (k + 1) for k in range(6)]
    assert {p.n_rows for p in told} == {N_ROWS}
    assert made.counters.newton_steps == []
    short = run(job_on(SHORT), SHORT, Session())
    assert loss_of(job, made.best, *rows()) < loss_of(job, short.best, *rows())
    again = run(job, LONG, Session())
    np.testing.assert_array_equal(again.best.theta, made.best.theta)


def test_noisy_copies_make_no_table_long():
    settings = replace(SETTINGS, whole_rows=N_ROWS, noise=0.1, noise_copies=2, max_iter=1)
    made = run(job_on(settings), settings, Session())
    assert made.iterations[0].n_rows == 2 * N_ROWS
    # w was eliminated.
    assert made.counters.newton_steps


def test_held_out_rows_choose_among_the_iterates():
    X, weights = rows()
    held = weighted(X[:40] + 0.1, weights[:40])
    for settings in (SETTINGS, LONG):
        made = run(job_on(settings, held), settings, Session())
        assert all(progress.judged for progress in made.iterations)
        found = [progress.heldout_log_likelihood for progress in made.iterations]
        assert made.best.number == 1 + np.argmax(found)
        assert made.log_likelihood == max(found) == -made.best.heldout_loss
        expected = loss_of(made.job, made.best, held.X, held.weights)
        assert made.best.heldout_loss == pytest.approx(expected, rel=1e-12)
        assert len(made.iterations) == 6
        assert made.status is FitStatus.ITERATION_LIMIT
        assert made.seconds["heldout"] > 0


def test_long_held_out_tables_are_cut_off_and_looked_at_now_and_then():
    X, weights = (np.tile(part, reps) for part, reps in zip(rows(), ((3, 1), 3), strict=True))
    settings = replace(SETTINGS, most_rows=150)
    made = run(job_on(settings, weighted(X, weights)), settings, Session())
    # 150 rows to look at, 60 to train on: at the first iterate and at every third.
    judged = [progress.iteration for progress in made.iterations if progress.judged]
    assert judged == [1, 3, 6]
    expected = loss_of(made.job, made.best, X[:150], weights[:150])
    assert made.best.heldout_loss == pytest.approx(expected, rel=1e-12)


def test_no_time_leaves_nothing_and_stops_the_fit():
    session = Session(Clock(0.0))
    made = run(job_on(LONG), LONG, session)
    assert made.status is FitStatus.TIME_LIMIT
    assert made.out_of_time
    assert session.clock.stop.is_set()
    assert (made.best, made.iterations, made.criterion) == (None, (), np.inf)
    assert np.isnan(made.log_likelihood)
    with pytest.raises(ValueError, match="Expected a run with an iterate"):
        final_solve(made, LONG)


def test_the_clock_of_a_run_is_that_of_the_fit():
    before = time.perf_counter()
    session = Session(Clock(1e4, started=before - 5e3))
    made = run(job_on(SETTINGS), SETTINGS, session)
    assert all(5e3 < p.seconds < 5e3 + time.perf_counter() - before for p in made.iterations)
    assert not session.clock.stop.is_set()
    late = run(job_on(SETTINGS), SETTINGS, Session(Clock(1e4, started=before - 2e4)))
    assert late.status is FitStatus.TIME_LIMIT


def test_an_interrupted_run_keeps_what_there_is():
    def interrupt(progress):
        if progress.iteration == 2:
            raise KeyboardInterrupt

    session = Session(tell=interrupt)
    made = run(job_on(LONG), LONG, session)
    assert made.status is FitStatus.INTERRUPTED
    assert session.clock.stop.is_set()
    assert len(made.iterations) == 2
    assert made.best.number == 2


def test_after_mini_batches_the_last_layer_is_solved_for():
    made = run(job_on(LONG), LONG, Session())
    solved = final_solve(made, LONG)
    np.testing.assert_array_equal(solved.best.theta, made.best.theta)
    assert (solved.best.w != made.best.w).any()
    assert solved.certificate.stationarity < 1e-7
    assert solved.certificate.duality_gap == pytest.approx(5e-3, rel=1e-12)
    assert solved.certificate.projected_gradient > LONG.tol
    assert loss_of(made.job, solved.best, *rows()) < loss_of(made.job, made.best, *rows())
    # On no more rows than it takes.
    few = final_solve(made, replace(LONG, most_rows=30))
    assert few.certificate.stationarity < 1e-7
    assert (few.best.w != solved.best.w).any()
    # Of an interrupted run w stays as it is; so it does where w was eliminated.
    interrupted = final_solve(replace(made, status=FitStatus.INTERRUPTED), LONG)
    np.testing.assert_array_equal(interrupted.best.w, made.best.w)
    assert interrupted.certificate.stationarity > 1e-3
    whole = run(job_on(SETTINGS), SETTINGS, Session())
    np.testing.assert_array_equal(final_solve(whole, SETTINGS).best.w, whole.best.w)
    assert final_solve(whole, SETTINGS).certificate.stationarity < 1e-7


def test_what_stands_for_a_run_that_was_not_made():
    none = Run.none(job_on(SETTINGS), FitStatus.CONVERGED)
    assert (none.criterion, none.out_of_time, none.counters.evaluations) == (np.inf, False, 0)
    assert sum(none.seconds.values()) == 0
