"""Tables of many columns: the fit, its density, its inverse and its file, in few directions."""

import numpy as np
import pytest
from small_fits import ends_early, small

from brenier import load, scoring
from brenier.potential.head import WIDE
from brenier.potential.sums import SumPotential

pytestmark = ends_early

# Sums over some hundred products, in another form.
ROUNDING = 1e-10


def bent_rows(n_rows, seed):
    """Return rows of which every second column bends with the one before."""
    X = np.random.default_rng(seed).normal(size=(n_rows, WIDE))
    X[:, 1::2] = 0.3 * X[:, 1::2] + X[:, ::2] ** 2
    return X


@pytest.fixture(scope="module")
def flow():
    settings = {"widths": (3, 3), "n_radial": 1, "n_estimators": 2, "validation_fraction": 0.2}
    return small(**settings, decay=1e-2, max_iter=12, random_state=0).fit(bent_rows(1000, 0))


def test_every_inner_problem_is_solved(flow):
    assert flow.report_.inner_failures == 0
    # Both potentials are in the sum, which is found as one.
    assert isinstance(flow.flow_.map, SumPotential)
    assert flow.flow_.map.shared_axes
    fresh = bent_rows(2000, 1)
    assert flow.score(fresh) > flow.baseline_score_samples(fresh).mean() + 0.5


def test_density_is_the_one_that_matrices_of_all_entries_give(flow, tmp_path):
    fresh = bent_rows(50, 1)
    flow.save(tmp_path / "m")
    expected = flow.score_samples(fresh)
    # Without JAX, by the potential's formulas and a dense matrix for every row.
    found = scoring.load(tmp_path / "m").score_samples(fresh)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_array_equal(load(tmp_path / "m").score_samples(fresh), expected)


def test_points_come_back_from_the_normal(flow):
    fresh = bent_rows(50, 1)
    back, inversion = flow.invert(flow.transform(fresh))
    assert inversion.converged.all()
    np.testing.assert_allclose(back, fresh, rtol=0.0, atol=1e-8)
