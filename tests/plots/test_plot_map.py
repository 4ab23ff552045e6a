"""The curves drawn are those that the map carries to lines and circles."""

import numpy as np
import pytest
from pictures import blank, labelled, table

from brenier.plots import plot_map

# What the inversion leaves of z - grad Phi(y).
INVERSION = 1e-6


def curves(ax):
    """Return lines z0 = c, lines z1 = c, circles, as arrays of points in data space."""
    drawn = [np.column_stack(line.get_data()) for line in ax.lines if line.get_label() != "data"]
    assert len(drawn) == 7 + 7 + 3
    return drawn[:7], drawn[7:14], drawn[14:]


def test_curves_are_carried_to_lines_and_circles(moon):
    flow, X = moon
    ax = plot_map(flow, X, ax=blank())
    upright, level, circles = curves(ax)

    def image(points):
        return flow.transform(table(points, X.columns))

    for c, points, other in zip(range(-3, 4), upright, level, strict=True):
        np.testing.assert_allclose(image(points)[:, 0], c, atol=INVERSION)
        np.testing.assert_allclose(image(other)[:, 1], c, atol=INVERSION)
        np.testing.assert_allclose(image(points)[[0, -1], 1], [-3, 3], atol=INVERSION)
    for r, points in zip((1, 2, 3), circles, strict=True):
        np.testing.assert_allclose(np.linalg.norm(image(points), axis=1), r, atol=INVERSION)
    np.testing.assert_array_equal(labelled(ax, "data"), X.to_numpy())
    assert [ax.get_xlabel(), ax.get_ylabel()] == X.columns
    assert ax.get_legend().get_title().get_text() == ""


def test_points_without_preimage_are_left_out_and_counted(thesis):
    flow, X = thesis
    ax = plot_map(flow, X, ax=blank())
    points = np.concatenate([curve for group in curves(ax) for curve in group])
    missing = np.isnan(points).any(axis=1).sum()
    assert 0 < missing < len(points)
    told = ax.get_legend().get_title().get_text()
    assert told == f"{missing} of {len(points)} points of the curves have no preimage"


def test_map_needs_two_columns(space):
    with pytest.raises(ValueError, match=r"Expected a flow of two columns; got 3\. plot_normal"):
        plot_map(space[0])
