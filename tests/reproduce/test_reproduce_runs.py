"""What is recorded of a fit while it goes on."""

import math

import pytest

from brenier.optimizers.progress import Progress
from brenier.reproduce.runs import Recorder, first_at

LOG_2_PI = math.log(2 * math.pi)


def test_recorder_adds_up_the_runs_of_a_fit():
    recorder = Recorder(n=2)
    # The second begins before the first has ended.
    rows = ((1, 1, 96, -0.5), (2, 1, 96, math.nan), (1, 2, 192, 0.5))
    for run, iteration, units, heldout in rows:
        recorder(
            Progress(
                run=run,
                iteration=iteration,
                n_rows=96,
                train_log_likelihood=0.0,
                heldout_log_likelihood=heldout,
                newton_steps=3,
                work_units=units,
                seconds=0.5,
            )
        )
    assert recorder.history["run"] == [1, 2, 1]
    assert recorder.history["work_units"] == [96, 192, 288]
    assert recorder.history["train"] == pytest.approx([-LOG_2_PI] * 3)
    assert first_at(recorder.history, -0.5 - LOG_2_PI, "work_units") == 288
    assert math.isnan(first_at(recorder.history, -9.0, "seconds"))
