"""Successive halving: who ends at which rung, whoever comes first; nobody waits for ever."""

import time
from threading import Event

import numpy as np
import pytest

from brenier.optimizers.early_stopping import (
    Clock,
    EarlyStopping,
    Iterate,
    StoppingCriteria,
    StopRun,
)
from brenier.optimizers.progress import Progress
from brenier.status import FitStatus
from brenier.training.halving import Halving, Standing
from brenier.training.parallel import run_parallel

LIMIT, STOPPED = FitStatus.ITERATION_LIMIT, FitStatus.STOPPED_ON_VALIDATION
# A run that waits for what never comes fails a test instead of blocking it (seconds).
TIMEOUT = 20.0


def seen(losses):
    """Return what has seen a run with these held-out losses, one an iterate."""
    early_stopping = EarlyStopping(StoppingCriteria(1000, 50, 0.25))
    for i, loss in enumerate(losses):
        early_stopping.iterations.append(Progress(1, i + 1, 1, 0.0, -loss, 0, 0, 0.0))
        if loss == min(losses[: i + 1]):
            early_stopping.best = Iterate(np.zeros(1), np.zeros(1), 0.0, loss, i + 1)
    return early_stopping


def make(halving, losses, delays=(), fails=()):
    """Return how many iterates each run had, with losses for every one, and who was left."""

    def run(k):
        time.sleep(delays[k] if delays else 0.0)
        pause, standing, status, n_iter = halving.pause(k), Standing(), STOPPED, 0
        try:
            if k in fails:
                raise ValueError("no good")
            for n_iter in range(1, len(losses[k]) + 1):
                pause(seen(losses[k][:n_iter]))
            standing = Standing(seen(losses[k]).best)
        except StopRun as stop:
            status = stop.status
        finally:
            halving.end(k, standing)
        return n_iter, status

    jobs = [lambda k=k: run(k) for k in range(len(losses))]
    return run_parallel([*jobs, halving.winner], halving.clock.stop, meeting=True)


def constant(*losses, n_iter=20):
    return [[float(loss)] * n_iter for loss in losses]


@pytest.mark.parametrize("delays", [(0.0, 0.05, 0.1), (0.1, 0.05, 0.0), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize(
    ("losses", "n_iter"),
    [((1, 2, 3), (20, 8, 2)), ((3, 1, 2), (2, 20, 8)), ((1, 1, 1), (20, 8, 2))],
)
def test_the_worse_half_ends_at_every_rung_whoever_comes_first(losses, n_iter, delays):
    *runs, (winner, standing) = make(Halving(3, (2, 8), Clock()), constant(*losses), delays)
    assert runs == [(n, STOPPED if n == 20 else LIMIT) for n in n_iter]
    assert winner == n_iter.index(20)
    assert standing.loss == losses[winner]


@pytest.mark.parametrize(
    ("n_runs", "rungs", "ends"),
    [
        (5, (2, 4, 6), [2, 2, 4, 6, 20]),
        (3, (2, 4, 6), [2, 4, 20]),
        (3, (5,), [5, 5, 20]),
        (2, (2, 4, 6), [2, 20]),
    ],
)
def test_after_the_last_rung_one_is_left(n_runs, rungs, ends):
    *runs, (winner, _) = make(Halving(n_runs, rungs, Clock()), constant(*range(n_runs, 0, -1)))
    assert [n_iter for n_iter, _ in runs] == ends
    assert winner == n_runs - 1


def test_a_loss_that_still_falls_is_extrapolated():
    falling = [1.3, 1.3, 1.1, 1.1, 1.0, 1.0]
    *_, (winner, standing) = make(Halving(2, (4,), Clock()), [[1.0] * 6, falling])
    assert (winner, standing.loss) == (1, pytest.approx(1.1 - 0.2, rel=1e-12))
    assert standing.best.criterion == 1.1


def test_a_run_that_ended_by_itself_falls_no_further_and_may_win():
    ended = [1.3, 1.05]
    *runs, (winner, standing) = make(Halving(2, (4, 6), Clock()), [[1.0] * 9, ended])
    assert (winner, runs[1]) == (0, (2, STOPPED))
    *runs, (winner, standing) = make(Halving(2, (4, 6), Clock()), [[1.0] * 9, [0.9]])
    assert (winner, standing.loss) == (1, 0.9)
    assert runs == [(4, LIMIT), (1, STOPPED)]


def test_a_run_without_an_iterate_never_wins():
    *runs, (winner, _) = make(Halving(3, (2, 4), Clock()), [[], [9.0] * 6, [9.5] * 6])
    assert (winner, runs[0]) == (1, (0, STOPPED))
    assert Standing().loss == np.inf


@pytest.mark.parametrize("k", range(3))
def test_a_run_that_fails_ends_the_others(k):
    with pytest.raises(ValueError, match="no good"):
        make(Halving(3, (2, 4), Clock()), constant(1.0, 2.0, 3.0), fails={k})


def test_who_waits_is_released_when_the_time_is_up():
    halving = Halving(2, (2,), Clock(max_seconds=0.3))
    pause = halving.pause(0)
    pause(seen([1.0]))
    with pytest.raises(StopRun) as stopped:
        pause(seen([1.0, 1.0]))
    assert stopped.value.status is FitStatus.TIME_LIMIT
    assert 0.3 < halving.clock.elapsed < TIMEOUT


def test_who_waits_is_released_by_the_stop():
    halving = Halving(2, (1,), Clock())

    def stopped():
        with pytest.raises(StopRun) as stop:
            halving.pause(0)(seen([1.0]))
        return stop.value.status

    def stop():
        Event().wait(0.05)
        halving.clock.stop.set()

    ends = run_parallel([stopped, halving.winner, stop], halving.clock.stop, meeting=True)
    assert ends == [FitStatus.INTERRUPTED, None, None]
