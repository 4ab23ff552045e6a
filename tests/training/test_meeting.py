"""Where runs meet: who goes on, whoever comes first; nobody waits for ever."""

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
from brenier.training.meeting import Meeting, Standing
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


def make(meeting, losses, delays=(), fails=()):
    """Return how many iterates each run had, with losses for every one, and who was left."""

    def run(k):
        time.sleep(delays[k] if delays else 0.0)
        pause, standing, status, n_iter = meeting.pause(k), Standing(), STOPPED, 0
        try:
            if k in fails:
                raise ValueError("no good")
            for n_iter in range(1, len(losses[k]) + 1):
                pause(seen(losses[k][:n_iter]))
            standing = Standing(seen(losses[k]).best)
        except StopRun as stop:
            status = stop.status
        finally:
            meeting.arrive(k, standing)
        return n_iter, status

    jobs = [lambda k=k: run(k) for k in range(len(losses))]
    return run_parallel([*jobs, meeting.winner], meeting.clock.stop, meeting=True)


def constant(*losses, n_iter=20):
    return [[float(loss)] * n_iter for loss in losses]


@pytest.mark.parametrize("delays", [(0.0, 0.05, 0.1), (0.1, 0.05, 0.0), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("losses", [(1, 2, 3), (3, 1, 2), (1, 1, 1)])
def test_the_best_goes_on_whoever_comes_first(losses, delays):
    *runs, winner = make(Meeting(3, 8, Clock()), constant(*losses), delays)
    assert winner == losses.index(1)
    assert runs == [(20, STOPPED) if k == winner else (8, LIMIT) for k in range(3)]


def test_a_loss_that_still_falls_is_extrapolated():
    falling = [1.3, 1.3, 1.1, 1.1, 1.0, 1.0]
    *_, winner = make(Meeting(2, 4, Clock()), [[1.0] * 6, falling])
    assert winner == 1
    standing = Standing.after(seen(falling[:4]).iterations, seen(falling[:4]).best)
    assert standing.loss == pytest.approx(1.1 - 0.2, rel=1e-12)
    assert standing.best.criterion == 1.1


def test_a_run_that_ended_by_itself_falls_no_further_and_may_win():
    ended = [1.3, 1.05]
    *runs, winner = make(Meeting(2, 4, Clock()), [[1.0] * 9, ended])
    assert (winner, runs[1]) == (0, (2, STOPPED))
    *runs, winner = make(Meeting(2, 4, Clock()), [[1.0] * 9, [0.9]])
    assert winner == 1
    assert runs == [(4, LIMIT), (1, STOPPED)]


def test_a_run_without_an_iterate_never_wins():
    *runs, winner = make(Meeting(3, 2, Clock()), [[], [9.0] * 6, [9.5] * 6])
    assert (winner, runs[0]) == (1, (0, STOPPED))
    assert Standing().loss == np.inf


@pytest.mark.parametrize("k", range(3))
def test_a_run_that_fails_ends_the_others(k):
    with pytest.raises(ValueError, match="no good"):
        make(Meeting(3, 2, Clock()), constant(1.0, 2.0, 3.0), fails={k})


def test_who_waits_is_released_when_the_time_is_up():
    meeting = Meeting(2, 2, Clock(max_seconds=0.3))
    pause = meeting.pause(0)
    pause(seen([1.0]))
    with pytest.raises(StopRun) as stopped:
        pause(seen([1.0, 1.0]))
    assert stopped.value.status is FitStatus.TIME_LIMIT
    assert 0.3 < meeting.clock.elapsed < TIMEOUT


def test_who_waits_is_released_by_the_stop():
    meeting = Meeting(2, 1, Clock())

    def stopped():
        with pytest.raises(StopRun) as stop:
            meeting.pause(0)(seen([1.0]))
        return stop.value.status

    def stop():
        Event().wait(0.05)
        meeting.clock.stop.set()

    ends = run_parallel([stopped, meeting.winner, stop], meeting.clock.stop, meeting=True)
    assert ends == [FitStatus.INTERRUPTED, None, None]
