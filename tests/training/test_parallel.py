"""Jobs in parallel: their order, the stop, Ctrl-C, and that numbers do not depend on cores."""

import _thread
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier, Event

import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, rows

from brenier import ConvexPotentialFlow
from brenier.data.rows import Split, WeightedRows
from brenier.optimizers.progress import Offsets
from brenier.program import n_cores
from brenier.training.families import JointFamily
from brenier.training.folds import Fold
from brenier.training.parallel import Turns, one_at_a_time, run_parallel
from brenier.training.run import run
from brenier.training.selection import Start
from brenier.training.session import Session
from brenier.training.settings import default_settings

# A job that waits for what never comes fails a test instead of blocking it (seconds).
TIMEOUT = 20.0


def test_jobs_run_at_once_and_keep_their_order():
    meeting = Barrier(3, timeout=TIMEOUT)
    jobs = [lambda i=i: (meeting.wait(), i)[1] for i in range(3)]
    assert run_parallel(jobs, Event(), cores=3) == [0, 1, 2]
    assert run_parallel([], Event(), cores=3) == []


def test_threads_see_float64():
    dtypes = run_parallel([lambda: jnp.ones(1).dtype] * 2, Event(), cores=2)
    assert dtypes == [jnp.float64] * 2
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.parametrize("number", [1, 2])
def test_jobs_that_have_not_begun_by_the_stop_are_left_out(number):
    stop = Event()

    def job():
        stop.set()
        return "done"

    assert run_parallel([job, job, job, job], stop, number)[:1] == ["done"]
    assert len(run_parallel([job, job], stop, number)) == 0


def test_a_job_that_fails_stops_the_others():
    stop = Event()

    def fail():
        raise ValueError("no good")

    ended = []
    with pytest.raises(ValueError, match="no good"):
        run_parallel([lambda: ended.append(stop.wait(TIMEOUT)), fail], stop, cores=2)
    assert ended == [True]


@pytest.fixture
def control_c():
    """Let an interrupt raise KeyboardInterrupt, which pytest-xdist's workers ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def test_control_c_stops_the_jobs_and_keeps_their_results(control_c):
    stop = Event()

    def interrupt():
        # The jobs have been handed out by then.
        time.sleep(0.2)
        control_c()
        return stop.wait(TIMEOUT)

    assert run_parallel([interrupt, lambda: stop.wait(TIMEOUT)], stop, cores=2) == [True, True]


def test_one_at_a_time():
    log, meeting = [], Barrier(2, timeout=TIMEOUT)

    def tell(who):
        log.append(who)
        time.sleep(0.01)
        log.append(who)

    told = one_at_a_time(tell)

    def job(who):
        meeting.wait()
        told(who)

    run_parallel([lambda: job(1), lambda: job(2)], Event(), cores=2)
    assert log in ([1, 1, 2, 2], [2, 2, 1, 1])


@pytest.mark.usefixtures("one_core")
def test_cores_are_those_that_the_process_may_use():
    assert n_cores() == 1
    names = run_parallel([lambda: threading.current_thread().name] * 2, Event())
    # One after the other needs no thread.
    assert names == [threading.current_thread().name] * 2


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("cores", [None, 1, 2])
def test_jobs_that_meet_are_all_begun_however_few_the_cores(cores):
    meeting = Barrier(9, timeout=TIMEOUT)
    jobs = [lambda i=i: (meeting.wait(), i)[1] for i in range(9)]
    assert run_parallel(jobs, Event(), cores, meeting=True) == [*range(9)]


@pytest.mark.usefixtures("x64")
def test_runs_do_not_depend_on_the_number_of_threads():
    split, family = Split(WeightedRows(*rows(), np.arange(N_ROWS) / N_ROWS)), JointFamily()
    settings = replace(
        default_settings(), widths=WIDTHS, n_radial=0, tau=1e-3, noise=0.0, decay=1e-3, max_iter=6
    )
    fold = Fold.of(split, split, Offsets(), family, settings, seed=0)
    X, rng = fold.split.train.X, np.random.default_rng(0)
    jobs = []
    for number in range(4):
        start = Start(fold, family.start(X, settings, fold.candidates, rng), number)
        jobs.append(start.job(family, settings, fold.candidates[0], settings.criteria, number))
    results = []
    for cores in (1, 3):
        session = Session()
        made = [partial(run, job, settings, session) for job in jobs]
        results.append(run_parallel(made, session.clock.stop, cores))
    for one, other in zip(*results, strict=True):
        assert (one.job, one.status) == (other.job, other.status)
        np.testing.assert_array_equal(one.best.theta, other.best.theta)
        np.testing.assert_array_equal(one.best.w, other.best.w)
        assert one.counters.newton_steps == other.counters.newton_steps
        for what in ("train_log_likelihood", "newton_steps", "work_units"):
            assert [getattr(p, what) for p in one.iterations] == [
                getattr(p, what) for p in other.iterations
            ]


def test_a_fit_does_not_depend_on_the_number_of_cores(all_cores):
    X = np.random.default_rng(0).normal(size=(400, 2)) ** 3
    settings = {"widths": (4,), "n_radial": 2, "max_iter": 15, "tol": 1e-9}
    fits = []
    for cores in (all_cores[:1], all_cores):
        os.sched_setaffinity(0, cores)
        assert n_cores() == len(cores)
        with pytest.warns(UserWarning, match="iteration limit"):
            fits.append(ConvexPotentialFlow(**settings).fit(X))
    one, many = fits
    np.testing.assert_array_equal(one.score_samples(X), many.score_samples(X))
    for what in ("run_log_likelihood", "newton_steps", "n_evaluations", "work_units"):
        assert getattr(one.report_, what) == getattr(many.report_, what)


def test_jobs_in_turn_run_one_at_a_time_in_one_order():
    turns, seen = Turns(3), []

    def job(k):
        def run():
            for step in range(k + 1):
                # Others would come between where two ran at once.
                seen.append((k, step, "begins"))
                time.sleep(0.01)
                seen.append((k, step, "ends"))
                turns.give_way(k)
            return k

        return turns.in_turn(k, run)

    # The threads begin in another order.
    jobs = [job(k) for k in range(3)]
    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(jobs[k]) for k in (2, 0, 1)]
        assert [one.result() for one in made] == [2, 0, 1]
    order = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)]
    assert seen == [(k, step, what) for k, step in order for what in ("begins", "ends")]
