"""The picture of calibration is the test of Kolmogorov and Smirnov."""

import numpy as np
import pytest
from pictures import Scaled, blank, labelled, legend
from scipy import stats

from brenier.plots import plot_calibration


def distances(ax):
    """Return the largest distance and the band's half width of the title."""
    return [float(word.strip(";")) for word in ax.get_title().split() if word.startswith("0.")]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_calibration_is_the_kolmogorov_smirnov_test(n):
    X = np.random.default_rng(0).normal(size=(400, n))
    for scale, good in ((1.0, True), (0.8, False), (1.25, False)):
        flow = Scaled(n, scale)
        ax = plot_calibration(flow, X, ax=blank())
        test = stats.kstest((flow.transform(X) ** 2).sum(axis=1), stats.chi2(n).cdf)
        distance, half_width = distances(ax)
        assert distance == pytest.approx(test.statistic, abs=6e-4)
        assert half_width == pytest.approx(stats.kstwo(400).ppf(0.95), abs=6e-4)
        assert (distance < half_width) == (test.pvalue > 0.05) == good


def test_calibration_draws_the_sorted_probabilities(moon):
    flow, X = moon
    ax = plot_calibration(flow, X, ax=blank())
    probabilities = np.sort(stats.chi2(2).cdf((flow.transform(X) ** 2).sum(axis=1)))
    expected, observed = labelled(ax, "rows given").T
    np.testing.assert_allclose(expected, [0, *probabilities, 1])
    np.testing.assert_allclose(observed, [0, *(np.arange(1, 301) / 300), 1])
    assert legend(ax) == ["95 % band for 300 rows", "perfect fit", "rows given"]
    assert ax.get_xlabel() == "expected share: chi-squared(2) probability of |z|^2"
    assert ax.get_aspect() == 1


def test_rows_without_an_image_are_infinitely_far_out():
    ax = plot_calibration(Scaled(1), np.array([[0.5], [101.0], [102.0]]), ax=blank())
    assert labelled(ax, "rows given")[2:4, 0].tolist() == [1, 1]
