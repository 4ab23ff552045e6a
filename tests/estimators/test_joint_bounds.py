"""Bounded columns: no density outside, all of it inside, and messages that name rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from small_fits import BOUNDS, N, ends_early, small

from brenier import load
from brenier.status import InputWarning

pytestmark = ends_early


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    share = rng.beta(0.8, 2.0, size=N)
    return pd.DataFrame({"rate": rng.exponential(1 + 3 * share), "share": share})


@pytest.fixture(scope="module")
def bounded(table):
    return small(bounds=BOUNDS).fit(table)


@pytest.mark.parametrize(
    "bounds",
    [
        BOUNDS,
        {1: (0, 1), 0: (0, None)},
        {"rate": [0.0, np.inf], 1: (0, 1)},
        [(0, None), (0, 1)],
        [(0, np.inf), (0.0, 1.0)],
    ],
    ids=str,
)
def test_bounds_by_name_and_by_index_are_the_same(bounds, bounded, table):
    fitted = small(bounds=bounds).fit(table)
    np.testing.assert_array_equal(fitted.score_samples(table), bounded.score_samples(table))


def test_samples_lie_strictly_inside_and_rows_outside_have_no_density(bounded, table):
    drawn = bounded.sample(10_000, random_state=0)
    assert (drawn > 0).all()
    assert (drawn[:, 1] < 1).all()
    assert np.isfinite(bounded.score_samples(pd.DataFrame(drawn, columns=table.columns))).all()
    outside = pd.DataFrame({"rate": [0, -1, 1, 1, 1], "share": [0.5, 0.5, 0, 1, 2]}, dtype=float)
    assert (bounded.score_samples(outside) == -np.inf).all()
    assert (bounded.baseline_score_samples(outside) == -np.inf).all()
    assert bounded.score(outside) == -np.inf
    both = pd.concat([table[:2], outside])
    with pytest.warns(InputWarning, match=r"5 of 7 rows lie on or beyond .* \(first: row 2\)"):
        Z = bounded.transform(both)
    assert np.isnan(Z).all(axis=1).tolist() == [False] * 2 + [True] * 5


def test_bounded_density_has_the_mass_that_its_samples_have(bounded):
    drawn = bounded.sample(10_000, random_state=0)
    # Sine-squared steps put many points near the share's bounds, where the density may blow up.
    u, v = np.meshgrid(np.linspace(-12, 4, 400), np.linspace(0, np.pi / 2, 402)[1:-1])
    rate, share = np.exp(u).ravel(), (np.sin(v) ** 2).ravel()
    slope = rate * np.sin(2 * v.ravel())
    cell = 16 / 399 * (np.pi / 2) / 401
    grid = pd.DataFrame({"rate": rate, "share": share})
    mass = np.exp(bounded.score_samples(grid)) * slope * cell
    region = (rate < 1.5) & (share < 0.3)
    expected = ((drawn[:, 0] < 1.5) & (drawn[:, 1] < 0.3)).mean()
    # The region's edges cut through cells; 10,000 draws have a standard error of 0.005.
    assert mass[region].sum() == pytest.approx(expected, abs=0.03)
    assert 0.2 < expected < 0.8


def test_rows_on_or_beyond_a_bound_are_named(table):
    bad = table.copy()
    bad.loc[[3, 5], "share"] = [1.0, -0.25]
    with pytest.raises(ValueError, match="Expected training data strictly inside") as caught:
        small(bounds=BOUNDS).fit(bad)
    for part in ("'share'", "(0, 1)", "2 rows", "row 3: 1", "row 5: -0.25", "Widen the bounds"):
        assert part in str(caught.value)
    with pytest.raises(ValueError, match="Expected validation_data strictly inside .*row 3: 1"):
        small(bounds=BOUNDS).fit(table, validation_data=bad)


def test_a_name_that_is_nearly_one_is_suggested(table):
    named = table.rename(columns={"rate": "alpha0", "share": "alpha1"})
    with pytest.raises(ValueError, match=r"got bounds for 'alpha_0'\. Did you mean 'alpha0'\?"):
        small(bounds={"alpha_0": (0, None)}).fit(named)
    with pytest.raises(ValueError, match=r"got bounds for 'weight'\.$"):
        small(bounds={"weight": (0, None)}).fit(named)


def test_model_file_keeps_names_and_bounds(bounded, table, tmp_path):
    bounded.save(tmp_path / "m")
    copy = load(tmp_path / "m")
    np.testing.assert_array_equal(copy.score_samples(table), bounded.score_samples(table))
    assert list(copy.feature_names_in_) == ["rate", "share"]
    # The settings fit again, to the same.
    np.testing.assert_array_equal(clone(copy).fit(table).flow_.map.w, bounded.flow_.map.w)
