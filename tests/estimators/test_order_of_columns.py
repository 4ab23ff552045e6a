"""Fits do not depend on the order of columns: log-densities, images and samples follow them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from small_fits import N, ends_early, small

from brenier import ConditionalConvexPotentialFlow, TriangularConvexPotentialFlow, load

pytestmark = ends_early

NAMES = ["a", "b", "c", "d"]
SWAPPED = ["c", "a", "d", "b"]
SAME = {"rtol": 1e-6, "atol": 1e-6}
CONDITIONAL = ConditionalConvexPotentialFlow(
    widths=(3,), context_widths=(3,), n_gates=1, n_estimators=2, max_iter=10
)


def table(seed=0):
    rng = np.random.default_rng(seed)
    a, b, c, d = rng.normal(size=(4, N))
    return pd.DataFrame({"a": np.exp(a), "b": 1e3 * (b + a**2), "c": c, "d": d * (1 + a**2)})


def ranks():
    rng = np.random.default_rng(1)
    return pd.DataFrame({name: rng.permutation(N) / N for name in NAMES})


TABLES = {"four shapes": table(), "ranks": ranks()}
SETTINGS = {
    "default": {"noise": None, "n_radial": 2, "validation_fraction": 0.2},
    "bounds": {"bounds": {"a": (-0.1, None), "c": (-9, 9)}, "validation_fraction": 0.2},
    "standardize": {"whiten": "standardize"},
    "composed": {"n_maps": 2, "n_init": 1, "decay": 1e-3},
}


def weights():
    return np.random.default_rng(2).uniform(0.5, 2.0, N)


# Which order is taken, where no column's shape tells it from the others, knows no more settings.
@pytest.mark.parametrize(
    ("settings", "data"),
    [
        *((settings, "four shapes") for settings in SETTINGS),
        ("default", "ranks"),
        ("bounds", "ranks"),
    ],
)
def test_joint_densities_follow_the_columns(settings, data, tmp_path):
    X = TABLES[data]
    estimator = small(max_iter=8, **SETTINGS[settings])
    plain = clone(estimator).fit(X, sample_weight=weights())
    order = np.random.default_rng(3).permutation(N)
    moved = clone(estimator).fit(X[SWAPPED].iloc[order], sample_weight=weights()[order])
    back = [SWAPPED.index(name) for name in NAMES]
    log_p = plain.score_samples(X)
    np.testing.assert_allclose(moved.score_samples(X[SWAPPED]), log_p, **SAME)
    images = plain.transform(X)
    np.testing.assert_allclose(moved.transform(X[SWAPPED])[:, back], images, **SAME)
    samples = plain.sample(50, random_state=4)
    np.testing.assert_allclose(moved.sample(50, random_state=4)[:, back], samples, **SAME)
    np.testing.assert_allclose(
        moved.baseline_score_samples(X[SWAPPED]), plain.baseline_score_samples(X), **SAME
    )
    np.testing.assert_allclose(plain.inverse_transform(images), X, rtol=1e-6, atol=1e-6)
    # An order other than the table's is in its file.
    moved.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.transform(X[SWAPPED]), moved.transform(X[SWAPPED]))
    assert loaded.get_params()["bounds"] is None or loaded.bounds[back[0]] == (-0.1, None)


def test_images_belong_to_the_columns_they_are_of():
    # Independent columns, standardised only: each image hardly knows of the others.
    rng = np.random.default_rng(5)
    X = np.exp(rng.normal(size=(N, 4)) * [1.0, 0.1, 0.7, 0.4])
    Z = small(max_iter=8, whiten="standardize").fit(X).transform(X)
    together = np.corrcoef(X.T, Z.T)[:4, 4:]
    np.testing.assert_array_equal(together.argmax(axis=0), np.arange(4))


def test_conditional_densities_follow_targets_and_context():
    data = table()
    X, Y = data[["c", "a"]], data[["b", "d"]]
    plain = clone(CONDITIONAL).fit(X, Y)
    moved = clone(CONDITIONAL).fit(X[["a", "c"]], Y[["d", "b"]])
    swapped = X[["a", "c"]]
    log_p = plain.score_samples(X, Y)
    np.testing.assert_allclose(moved.score_samples(swapped, Y[["d", "b"]]), log_p, **SAME)
    for method in ("sample", "mean"):
        expected = getattr(plain, method)(X[:9])
        np.testing.assert_allclose(getattr(moved, method)(swapped[:9])[..., ::-1], expected, **SAME)
    Z = plain.transform(X, Y)
    np.testing.assert_allclose(plain.inverse_transform(X, Z), Y, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(moved.transform(swapped, Y[["d", "b"]])[:, ::-1], Z, **SAME)


def test_conditional_densities_are_loaded_in_their_order(tmp_path):
    data = table()
    few = clone(CONDITIONAL).set_params(n_estimators=1, decay=1e-2, max_iter=2)
    for context, targets in ((["a", "c", "d"], ["b"]), (["d", "c", "a"], ["b"])):
        flow = clone(few).fit(data[context], data[targets])
        flow.save(tmp_path / "m")
        loaded = load(tmp_path / "m")
        assert loaded.n_features_in_ == 3
        expected = flow.quantile(data[context][:9], 0.3)
        np.testing.assert_array_equal(loaded.quantile(data[context][:9], 0.3), expected)


def test_block_triangular_densities_follow_the_columns_of_a_block():
    data, leading = table(), small(max_iter=8)
    following = clone(CONDITIONAL).set_params(n_estimators=1, decay=1e-2)
    blocks = [["c", "a"], ["d", "b"]]
    flow = TriangularConvexPotentialFlow(blocks, leading=leading, following=following)
    plain, moved = clone(flow).fit(data), clone(flow).fit(data[SWAPPED])
    moved_blocks = [block[::-1] for block in blocks]
    other = clone(flow).set_params(blocks=moved_blocks).fit(data)
    log_p = plain.score_samples(data)
    np.testing.assert_allclose(moved.score_samples(data[SWAPPED]), log_p, **SAME)
    np.testing.assert_allclose(other.score_samples(data), log_p, **SAME)
    np.testing.assert_allclose(other.sample(9), plain.sample(9), **SAME)
    given = {"a": 1.0, "c": 0.0}
    expected = plain.condition(given).sample(9)
    np.testing.assert_allclose(other.condition(given).sample(9)[:, ::-1], expected, **SAME)
