"""The benchmark of far rows, without its fits."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import dblquad

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import far
finally:
    sys.path.remove(str(ROOT))


def test_the_truth_is_a_density():
    total, _ = dblquad(
        lambda y, x: np.exp(far.log_density(np.array([[x, y]]))[0]), -6.0, 6.0, -4.0, 24.0
    )
    assert total == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("case", "changed"),
    [("none far", 0), ("one row at 1e+06", 1), ("1 % at 99", 10), ("1 % at -999", 10)],
)
def test_a_case_changes_so_many_rows(case, changed):
    X = far.bent(1000, np.random.default_rng(0))
    before = X.copy()
    far.CASES[case](X, np.random.default_rng(1))
    assert np.sum(np.any(X != before, axis=1)) == changed
    assert np.all(X[:, 0] == before[:, 0])
