"""The global test rejects a right model as often as it says, and wrong ones nearly always.

Few tables here; `benchmarks/diagnosis.py` has them by the hundred and thousand.
"""

import numpy as np
import pytest
from benchmarks.diagnosis import FAULTS, judged

N = 300


def test_a_right_model_is_rejected_in_a_twentieth():
    rejected = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rejected += judged(rng.normal(size=(N, 2)), rng, with_nats=False).p_value <= 0.05
    # More than 6 come once in 300 times.
    assert rejected <= 6


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_model_is_seen_by_the_right_panel(name):
    fault = FAULTS[name]
    seen = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        found = judged(fault.draw(N, rng), rng, with_nats=False)
        seen.append(found.p_value <= 0.05 and bool({*found.beyond} & {*fault.panels}))
    assert sum(seen) >= 4


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_calls_its_density_integrates_to_one(name):
    points = np.linspace(-9, 9, 361)
    grid = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    total = np.sum(np.exp(FAULTS[name].log_density(grid))) * (points[1] - points[0]) ** 2
    np.testing.assert_allclose(total, 1, atol=1e-3)
