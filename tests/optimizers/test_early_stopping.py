"""Early stopping: which iterate is kept, who is told what, and when a run must end."""

from threading import Event

import numpy as np
import pytest

from brenier.optimizers.early_stopping import (
    Clock,
    EarlyStopping,
    StoppingCriteria,
    StopRun,
    criterion,
)
from brenier.optimizers.progress import Offsets, Progress
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Counters, Evaluated

NAN, INF = float("nan"), float("inf")
OFFSETS = Offsets(train=-1.0, heldout=-1.5)


class Counted(AbstractFunction):
    """All that is asked of a function here: its rows and what its evaluations cost."""

    def __init__(self):
        self.n_rows, self.counters = 7, Counters()

    lower = start = compute = curvature = state = recall = None


def at(loss):
    """Return a point at which the training loss is this."""
    return Evaluated(np.zeros(1), np.full(1, loss), np.zeros(1), loss, loss, np.zeros(1))


def early_stopping(heldout=None, max_iter=1000, patience=0, patience_share=0.25, **others):
    """Return what watches a run; `heldout` has the held-out losses, one after the other."""
    losses = None if heldout is None else iter(heldout)
    heldout_loss = None if losses is None else lambda theta, w: float(next(losses))
    work_units, rise = others.pop("max_work_units", None), others.pop("least_rise", 0.0)
    criteria = StoppingCriteria(max_iter, patience, patience_share, work_units, rise)
    return EarlyStopping(criteria, heldout_loss, **others)


def observed(watched, losses):
    """Let a run with these training losses be watched; return its status, None if it goes on."""
    function = Counted()
    for loss in losses:
        function.counters.work_units += 10
        function.counters.newton_steps += [2, 1]
        try:
            watched.observe(at(loss), function)
        except StopRun as stop:
            return stop.status
    return None


def test_patience_is_a_quarter_of_the_iterations_done():
    watched = early_stopping([*range(100, 80, -1), *[200] * 100])
    assert observed(watched, [1.0] * 120) is FitStatus.STOPPED_ON_VALIDATION
    # 27 - 20 > 27 / 4, and 26 - 20 is not above 26 / 4.
    assert (watched.best.number, len(watched.iterations)) == (20, 27)


def test_a_run_that_hardly_rises_ends():
    # A fall of ten, and then of a thousandth an iteration.
    losses = [*np.linspace(10.0, 0.0, 21), *(-0.001 * np.arange(1.0, 200.0))]
    watched = early_stopping(losses, patience=10, least_rise=0.01)
    assert observed(watched, [1.0] * 150) is FitStatus.STOPPED_ON_VALIDATION
    # Ten iterations before the 31st the steep fall was over.
    assert len(watched.iterations) == 31
    assert observed(early_stopping(losses, patience=10), [1.0] * 150) is None
    assert observed(early_stopping(losses, patience=10, least_rise=1e-4), [1.0] * 150) is None


def test_a_run_that_begins_without_a_number_ends_by_patience_only():
    losses = [NAN, *(-0.001 * np.arange(100.0))]
    assert observed(early_stopping(losses, patience=10, least_rise=0.5), [1.0] * 90) is None


def test_patience_is_a_number_of_iterations_at_least():
    watched = early_stopping([1.0, *[2.0] * 100], patience=30)
    assert observed(watched, [1.0] * 100) is FitStatus.STOPPED_ON_VALIDATION
    assert (watched.best.number, len(watched.iterations)) == (1, 32)


def test_without_held_out_rows_the_best_is_the_least_training_loss_and_nobody_waits():
    watched = early_stopping(patience=1)
    assert observed(watched, [3.0, 1.0, NAN, *[2.0] * 60]) is None
    assert (watched.best.number, watched.best.criterion) == (2, 1.0)
    assert np.isnan(watched.iterations[0].heldout_log_likelihood)


@pytest.mark.parametrize(
    ("limits", "n_iter"), [({"max_iter": 4}, 4), ({"max_work_units": 25}, 3), ({}, 9)]
)
def test_iterations_and_work_units_are_limited(limits, n_iter):
    watched = early_stopping(**limits)
    status = observed(watched, [1.0] * 9)
    assert status is (FitStatus.ITERATION_LIMIT if limits else None)
    assert len(watched.iterations) == n_iter
    assert watched.exhausted == bool(limits)


def test_time_is_up_after_the_iterate_was_kept_and_told():
    told = []
    watched = early_stopping(clock=Clock(0.0), tell=told.append)
    assert observed(watched, [1.0, 2.0]) is FitStatus.TIME_LIMIT
    assert watched.best.number == 1
    assert told == watched.iterations
    assert len(told) == 1
    stopped = early_stopping(clock=Clock(stop=Event()))
    stopped.check_time()
    stopped.clock.stop.set()
    with pytest.raises(StopRun, match="interrupted"):
        stopped.check_time()


def test_long_held_out_tables_are_looked_at_now_and_then():
    watched = early_stopping([5.0, 4.0, 3.0, 6.0], patience=100, heldout_every=3)
    assert observed(watched, [1.0] * 9) is None
    judged = [progress.iteration for progress in watched.iterations if progress.judged]
    assert judged == [1, 3, 6, 9]
    # Only such an iterate can be the best.
    assert (watched.best.number, watched.best.heldout_loss) == (6, 3.0)


def test_a_loss_that_is_no_number_is_never_the_best():
    watched = early_stopping([NAN, INF, 2.0, NAN], patience=100)
    assert observed(watched, [1.0] * 4) is None
    assert watched.best.number == 3
    found = [progress.heldout_log_likelihood for progress in watched.iterations]
    assert found == [-INF, -INF, -2.0, -INF]
    assert criterion(1.0, NAN) == 1.0
    assert criterion(1.0, 2.0) == 2.0
    assert criterion(NAN, NAN) == criterion(1.0, INF) == criterion(1.0, -INF) == INF


def test_progress_is_in_log_likelihoods_of_the_data():
    told = []
    watched = early_stopping([2.0, 3.0], tell=told.append, patience=9, run=4, offsets=OFFSETS)
    assert observed(watched, [0.5, 0.25]) is None
    first, second = told
    assert first.seconds <= second.seconds <= watched.clock.elapsed
    assert (first, second) == (
        Progress(4, 1, 7, -1.5, -3.5, 3, 10, first.seconds),
        Progress(4, 2, 7, -1.25, -4.5, 3, 20, second.seconds),
    )
    assert "run 4  iteration    1  train    -1.5000  held out    -3.5000  nats/row" in str(first)
    assert "held out" not in str(Progress(1, 1, 7, 0.0, NAN, 0, 0, 0.0))
    assert 0 <= watched.heldout_seconds <= watched.clock.elapsed


def test_a_run_pauses_after_every_iterate_from_which_it_would_go_on():
    seen = []

    def pause(watched):
        seen.append((len(watched.iterations), watched.best.number))
        if len(seen) == 3:
            raise StopRun(FitStatus.ITERATION_LIMIT)

    watched = early_stopping([3, 1, 2, 0], patience=9, pause=pause)
    assert observed(watched, [0.0] * 4) is FitStatus.ITERATION_LIMIT
    assert seen == [(1, 1), (2, 2), (3, 2)]
    # Not where it ends by itself.
    seen.clear()
    assert observed(early_stopping(max_iter=2, pause=pause), [1.0, 0.5, 0.0]) is not None
    assert seen == [(1, 1)]
