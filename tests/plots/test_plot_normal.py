"""The image of rows, and how many of them each circle holds."""

import numpy as np
import pytest
from pictures import Scaled, blank, legend

from brenier.plots import plot_normal


def test_normal_shows_the_image_and_the_shares(space):
    flow, X = space
    ax = plot_normal(flow, X, columns=(2, 0), ax=blank())
    Z = flow.transform(X)[:, [2, 0]]
    np.testing.assert_array_equal(np.column_stack(ax.lines[0].get_data()), Z)
    for mass, circle in zip((0.5, 0.9, 0.99), ax.lines[1:], strict=True):
        radius = np.hypot(*circle.get_data())
        np.testing.assert_allclose(radius, np.sqrt(-2 * np.log(1 - mass)))
        share = np.mean(np.linalg.norm(Z, axis=1) <= radius[0])
        assert circle.get_label() == f"{100 * mass:g} % circle: {100 * share:.1f} % of rows"
    assert ax.get_xlabel() == "z2 (standard deviations)"
    assert ax.get_ylabel() == "z0 (standard deviations)"
    assert ax.get_aspect() == 1


def test_rows_without_an_image_are_outside_every_circle():
    ax = plot_normal(Scaled(2), np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [0.0, 101.0]]))
    assert legend(ax) == [f"{p} % circle: 75.0 % of rows" for p in (50, 90, 99)]


def test_normal_needs_two_columns(line):
    with pytest.raises(ValueError, match=r"two columns or more; got 1\. plot_calibration shows"):
        plot_normal(*line)
