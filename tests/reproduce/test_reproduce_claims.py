"""Verdicts follow the numbers."""

import math
from dataclasses import replace

from reproduction import TINY, with_losses

from brenier.reproduce import checks, claims
from brenier.reproduce.claims import Verdict
from brenier.reproduce.record import Outcome


def verdict(made, runs, start, setting=TINY):
    found = [c for c in claims.claims(setting, runs, FAKE_CHECKS) if c.what.startswith(start)]
    assert len(found) == 1
    return found[0].verdict


FAKE_CHECKS = checks.Checks([], [], 0, 1e-5)


def test_verdicts_follow_the_numbers(made):
    adam, lbfgs, _ = made.runs
    what = "adam: test J"
    assert verdict(made, with_losses(adam, [-1.12, -1.13]), what) is Verdict.YES
    assert verdict(made, with_losses(adam, [-1.40, -1.41]), what) is Verdict.NO
    assert verdict(made, [], what) is Verdict.OPEN
    bad = [replace(adam, outcome=Outcome.NUMERICAL_FAILURE)]
    assert verdict(made, bad, "No run ends") is Verdict.NO
    assert verdict(made, [adam, lbfgs], "No run ends") is Verdict.YES


def test_fewer_units_and_warm_up_are_judged(made):
    adam, lbfgs, _ = made.runs
    setting = replace(TINY, optimizers=("adam", "lbfgs-varpro", "adam-lbfgs-varpro"))

    def cost(units, adam_units):
        return [
            replace(adam, units_to=[adam_units, math.nan]),
            replace(lbfgs, label="adam-lbfgs-varpro", units_to=[units, math.nan]),
        ]

    what = "adam-lbfgs-varpro needs at most"
    assert verdict(made, cost(90.0, 500.0), what, setting) is Verdict.YES
    assert verdict(made, cost(110.0, 500.0), what, setting) is Verdict.NO
    # Full Adam never got there: nobody knows how much more it needs.
    assert verdict(made, cost(700.0, math.nan), what, setting) is Verdict.OPEN
    wide, narrow = with_losses(lbfgs, [-1.0, -1.4]), with_losses(lbfgs, [-1.3, -1.4])
    warmed = [replace(run, label="adam-lbfgs-varpro") for run in narrow]
    assert verdict(made, wide + warmed, "L-BFGS is sensitive", setting) is Verdict.YES
    warmed = [replace(run, label="adam-lbfgs-varpro") for run in wide]
    assert verdict(made, narrow + warmed, "L-BFGS is sensitive", setting) is Verdict.NO
    assert verdict(made, [lbfgs], "L-BFGS is sensitive", setting) is Verdict.OPEN


def test_train_loss_at_a_budget_is_that_of_the_last_iterate_within(made):
    history = {"work_units": [10.0, 20.0, 30.0], "train": [3.0, 2.0, 1.0]}
    run = replace(made.runs[0], history=history)
    assert claims.train_at(run, 25.0) == 2.0
    assert claims.train_at(run, 30.0) == 1.0
    assert math.isnan(claims.train_at(run, 5.0))


def test_inner_steps_of_both_kinds_are_counted(made):
    default = made.runs[-1]

    def steps(newton, chord):
        return [replace(default, warm_newton_steps=newton, warm_chord_steps=chord)]

    what = "Ours: at most 5 inner steps"
    assert verdict(made, steps(3.0, 2.0), what) is Verdict.YES
    assert verdict(made, steps(3.0, 2.5), what) is Verdict.NO
    assert verdict(made, [], what) is Verdict.OPEN
