"""Searches side by side."""

import _thread
import signal
import time
from threading import Barrier, Event

import jax.numpy as jnp
import numpy as np
import pytest

from brenier import ConvexPotentialFlow
from brenier.training import parallel as module
from brenier.training.parallel import one_at_a_time, run_parallel

# A job that waits for what never comes fails a test instead of blocking it (seconds).
TIMEOUT = 20.0


@pytest.fixture
def threads(monkeypatch):
    """Return what sets the number of cores that the process seems to have."""
    return lambda number: monkeypatch.setattr(module, "n_cores", lambda: number)


def test_jobs_run_at_once_and_keep_their_order(threads):
    threads(3)
    meeting = Barrier(3, timeout=TIMEOUT)
    jobs = [lambda i=i: (meeting.wait(), i)[1] for i in range(3)]
    assert run_parallel(jobs, Event()) == [0, 1, 2]
    assert run_parallel([], Event()) == []


def test_threads_see_float64(threads):
    threads(2)
    dtypes = run_parallel([lambda: jnp.ones(1).dtype] * 2, Event())
    assert dtypes == [jnp.float64] * 2
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.parametrize("number", [1, 2])
def test_jobs_that_have_not_begun_by_the_stop_are_left_out(number, threads):
    threads(number)
    stop = Event()

    def job():
        stop.set()
        return "done"

    assert run_parallel([job, job, job, job], stop)[:1] == ["done"]
    assert len(run_parallel([job, job], stop)) == 0


def test_a_job_that_fails_stops_the_others(threads):
    threads(2)
    stop = Event()

    def fail():
        raise ValueError("no good")

    ended = []
    with pytest.raises(ValueError, match="no good"):
        run_parallel([lambda: ended.append(stop.wait(TIMEOUT)), fail], stop)
    assert ended == [True]


@pytest.fixture
def control_c():
    """Let an interrupt raise KeyboardInterrupt, which pytest-xdist's workers ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def test_control_c_stops_the_jobs_and_keeps_their_results(threads, control_c):
    threads(2)
    stop = Event()

    def interrupt():
        # The jobs have been handed out by then.
        time.sleep(0.2)
        control_c()
        return stop.wait(TIMEOUT)

    assert run_parallel([interrupt, lambda: stop.wait(TIMEOUT)], stop) == [True, True]


def test_one_at_a_time(threads):
    threads(2)
    log, meeting = [], Barrier(2, timeout=TIMEOUT)

    def tell(who):
        log.append(who)
        time.sleep(0.01)
        log.append(who)

    told = one_at_a_time(tell)

    def job(who):
        meeting.wait()
        told(who)

    run_parallel([lambda: job(1), lambda: job(2)], Event())
    assert log in ([1, 1, 2, 2], [2, 2, 1, 1])


def test_a_fit_does_not_depend_on_the_number_of_threads(threads):
    X = np.random.default_rng(0).normal(size=(200, 2)) ** 3
    settings = {"widths": (4,), "n_radial": 2, "max_iter": 15, "tol": 1e-9}
    fits = []
    for number in (1, 3):
        threads(number)
        with pytest.warns(UserWarning, match="iteration limit"):
            fits.append(ConvexPotentialFlow(**settings).fit(X))
    one, three = fits
    np.testing.assert_array_equal(one.score_samples(X), three.score_samples(X))
    for what in ("run_log_likelihood", "newton_steps", "n_evaluations", "work_units"):
        assert getattr(one.report_, what) == getattr(three.report_, what)
