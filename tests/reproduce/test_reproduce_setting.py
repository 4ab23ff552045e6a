"""What is run: rows and settings by optimizer and seed."""

from dataclasses import replace

import numpy as np
import pytest

from brenier import Algorithm, ConvexPotentialFlow
from brenier.data.datasets import Moons
from brenier.reproduce.setting import DEFAULT, reproductions


def test_optimizers_share_rows_and_initial_weights():
    setting = reproductions()["moons"]
    estimators = [setting.estimator(label, 3) for label in setting.optimizers]
    assert {e.random_state for e in estimators} == {3}
    assert {e.widths for e in estimators} == {(32,) * 4}
    algorithms = [e.algorithm for e in estimators]
    assert [a.optimizer for a in algorithms] == list(setting.optimizers)
    assert {replace(a, optimizer="adam") for a in algorithms} == {
        Algorithm.thesis(optimizer="adam", max_work_units=1_500_000)
    }
    np.testing.assert_array_equal(
        setting.rows(3).train, Moons(noise=0.05).sample(1024, random_state=9)
    )
    assert [len(part) for part in vars(setting.rows(0)).values()] == [1024, 5000, 5000]
    assert setting.estimator(DEFAULT, 3).get_params() == {
        **ConvexPotentialFlow(judge_fraction=0.0).get_params(),
        "random_state": 3,
    }


def test_quick_is_one_seed_and_a_small_budget():
    for setting in reproductions().values():
        quick = setting.shortened()
        assert (quick.seeds, quick.quick) == ((0,), True)
        assert quick.budget < setting.budget / 20
    eight = reproductions()["eight-gaussians"]
    moons = reproductions()["moons"]
    for a, b in zip(eight.targets, moons.targets, strict=True):
        assert a - eight.floor == pytest.approx(b - moons.floor, abs=0.01)
