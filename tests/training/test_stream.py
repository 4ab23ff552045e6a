"""The stream of a fit's events: what runs did before their phase began counts in it."""

import time

import numpy as np
import pytest

from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.optimizers.progress import Progress
from brenier.training.phases import FITTING, SELECTING, Listener
from brenier.training.stream import Stream

# Of both runs: at its limit a run has all of its share.
LIMIT = 10
CRITERIA = StoppingCriteria(max_iter=LIMIT, patience=1000, patience_share=0.0)


class Heard(Listener):
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)


def iterate(run, iteration):
    return Progress(run, iteration, 1, 0.0, -1.0 / iteration, 0, 0, 0.0)


def test_runs_that_began_before_their_phase_have_their_share_in_it():
    heard = Heard()
    stream = Stream(heard)
    stream.begin(SELECTING, {1: CRITERIA, 2: CRITERIA})
    # The third is not selected from, and has begun nevertheless.
    for iteration in range(1, 6):
        for run in (1, 2, 3):
            stream.iterate(iterate(run, iteration))
    stream.ended(2)
    assert (heard.events[-1].phase, heard.events[-1].done, heard.events[-1].of) == (SELECTING, 1, 2)
    stream.begin(FITTING, {1: CRITERIA, 3: CRITERIA})
    stream.iterate(iterate(1, 6))
    time.sleep(0.02)
    stream.iterate(iterate(3, 6))
    event = heard.events[-1]
    assert (event.phase, event.done, event.of) == (FITTING, 0, 2)
    assert event.share == pytest.approx(0.6)
    # A tenth of the work took the phase so far, and four are left.
    spent = stream.seconds[FITTING]
    assert 3.9 * 0.02 < event.remaining < 4.1 * spent
    stream.ended(1)
    assert (heard.events[-1].done, heard.events[-1].share) == (1, pytest.approx(0.8))


def test_a_phase_whose_runs_have_no_iterate_has_no_share():
    heard = Heard()
    stream = Stream(heard)
    stream.begin(SELECTING, {1: CRITERIA})
    stream.iterate(iterate(1, 3))
    stream.begin(FITTING, {2: CRITERIA})
    stream.ended(1)
    assert np.isnan(heard.events[-1].share)
    assert np.isnan(heard.events[-1].remaining)
