"""Scaling of inputs and targets: weighted moments, cut-offs, constants, padding."""

import numpy as np
import pytest

from brenier.supervised.scaling import InputScaling, TargetScaling, padded_width

RNG = np.random.default_rng(0)
X, WEIGHTS = RNG.normal(3.0, 2.0, size=(50, 3)), RNG.integers(1, 4, size=50).astype(float)


def test_inputs_have_weighted_mean_zero_and_deviation_one():
    scaled = InputScaling.of(X, WEIGHTS, farthest=100.0)(X)
    omega = WEIGHTS / WEIGHTS.sum()
    np.testing.assert_allclose(omega @ scaled[:, :3], 0.0, atol=1e-12)
    np.testing.assert_allclose(omega @ scaled[:, :3] ** 2, 1.0, rtol=1e-12)


def test_far_inputs_are_cut_off_and_absurd_ones_stay_finite():
    scaling = InputScaling.of(X, WEIGHTS, farthest=3.0)
    far = np.array([[1e308, -1e308, 3.0]])
    np.testing.assert_array_equal(scaling(far)[0, :2], [3.0, -3.0])


def test_a_column_with_values_very_far_out_is_seen_by_its_ranks_too():
    far = np.exp(3 * X)
    scaling = InputScaling.of(far, WEIGHTS, 3.0, ranked_from=4.0)
    assert any(scores is not None for scores in scaling.scores)
    scaled = scaling(far)
    for i, scores in enumerate(scaling.scores):
        order = np.argsort(far[:, i])
        # Ranks tell the smallest values apart, which standardised are all but equal.
        assert np.all(np.diff(scaled[order, i]) > 0)
        if scores is not None:
            assert np.diff(scaled[order, i]).min() > 1e-3
            omega = WEIGHTS / WEIGHTS.sum()
            spread = omega @ (scaled[:, i] - omega @ scaled[:, i]) ** 2
            np.testing.assert_allclose(spread, 1.0, rtol=1e-12)
    # A weight of two is two rows.
    weights = np.ones(50)
    weights[3] = 2.0
    twice = InputScaling.of(np.r_[far, far[3:4]], np.ones(51), 3.0, ranked_from=4.0)
    np.testing.assert_allclose(
        InputScaling.of(far, weights, 3.0, ranked_from=4.0)(far), twice(far), rtol=1e-9
    )


def test_a_column_that_is_mostly_one_value_counts_for_less():
    # A fifth of the weight is elsewhere.
    weights = np.r_[np.full(8, 2.0), 1.0, 3.0]
    rare, usual = np.r_[np.zeros(8), 1.0, 5.0], np.r_[np.zeros(5), np.ones(5)]
    scaled = InputScaling.of(np.c_[rare, usual], weights, farthest=100.0)(np.c_[rare, usual])
    mean = np.average(scaled, axis=0, weights=weights)
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)
    deviation = np.sqrt(np.average(scaled**2, axis=0, weights=weights))
    np.testing.assert_allclose(deviation, [4 * 0.2 * 0.8, 1.0])


def test_a_constant_column_says_nothing():
    constant = np.column_stack([X[:, 0], np.full(50, 0.1)])
    scaled = InputScaling.of(constant, WEIGHTS, farthest=3.0)(constant)
    np.testing.assert_allclose(scaled[:, 1], 0.0, atol=1e-12)


@pytest.mark.parametrize(("n", "width"), [(1, 2), (2, 2), (3, 3), (4, 4), (5, 6), (7, 8), (9, 12)])
def test_inputs_are_padded_to_standard_widths(n, width):
    assert padded_width(n) == width
    rows = RNG.normal(size=(20, n))
    scaled = InputScaling.of(rows, np.ones(20), farthest=3.0)(rows)
    assert scaled.shape == (20, width)
    assert not np.any(scaled[:, n:])


def test_targets_go_there_and_back():
    scaling = TargetScaling.of(X, WEIGHTS)
    np.testing.assert_allclose(scaling.back(scaling(X)), X, rtol=1e-12)
    none = TargetScaling.none(3)
    np.testing.assert_array_equal(none(X), X)
