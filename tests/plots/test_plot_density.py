"""The picture of a density is the density, and its outlines enclose their mass."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.path import Path
from pictures import blank, labelled, legend, table

from brenier import ConvexPotentialFlow
from brenier.plots import plot_density
from brenier.plots.style import COLORMAP

# Four standard errors of the difference of two shares, each over 4000 draws, and the grid's cells.
SHARE = 0.05
# What the Web Content Accessibility Guidelines (2.1, 1.4.11) ask of two neighbouring colours.
CONTRAST = 3.0


def inside(path, points):
    """Return which points the outline encloses; holes, and islands in them, alternate."""
    loops = [Path(polygon).contains_points(points) for polygon in path.to_polygons()]
    return np.logical_xor.reduce(loops)


def outlines(ax):
    (contours,) = [c for c in ax.collections if isinstance(c, QuadContourSet)]
    return contours


def test_outlines_enclose_their_share_of_samples(moon):
    flow, X = moon
    ax = plot_density(flow, X, levels=(0.8, 0.5, 0.95), ax=blank())
    new = flow.sample(4000, random_state=7)
    shares = [inside(path, new).mean() for path in outlines(ax).get_paths()]
    assert shares == pytest.approx([0.95, 0.8, 0.5], abs=SHARE)
    assert legend(ax) == ["50 % of mass", "80 % of mass", "95 % of mass", "data"]
    drawn = [handle.get_linestyle() for handle in ax.get_legend().get_lines()[:3]]
    assert drawn == ["-", "--", ":"]
    assert outlines(ax).linestyles == [":", "--", "-"]


@pytest.mark.parametrize("columns", [None, ["length", "width"], ["width", "length"], [1, 0]])
def test_the_image_is_the_density(moon, columns):
    flow, X = moon
    ax = plot_density(flow, X, columns=columns, n_grid=20, ax=blank())
    swapped = columns is not None and columns[0] in ("width", 1)
    order = [1, 0] if swapped else [0, 1]
    mesh = ax.collections[0]
    points = mesh.get_coordinates().reshape(-1, 2)[:, order]
    expected = np.exp(flow.score_samples(table(points, X.columns)))
    np.testing.assert_allclose(np.ravel(mesh.get_array()), expected)
    assert [ax.get_xlabel(), ax.get_ylabel()] == [X.columns[k] for k in order]
    np.testing.assert_array_equal(labelled(ax, "data"), X.to_numpy()[:, order])
    bar = ax.figure.axes[1]
    assert bar.get_ylabel() == "density (1 / data unit^2)"


@pytest.mark.parametrize("columns", [None, ["width", "length"]])
def test_pieces_of_a_mixture_have_colours_of_their_own(islands, columns):
    mixture, X = islands
    ax = plot_density(mixture, X, columns=columns, n_grid=20, ax=blank())
    parts = [labelled(ax, f"piece {k}") for k in (0, 1)]
    assert [len(part) for part in parts] == [200, 100]
    assert parts[0].max() < 10 < parts[1].min()
    colors = [line.get_color() for line in ax.get_lines() if "piece" in str(line.get_label())]
    assert len({to_rgb(color) for color in colors}) == 2


def test_the_window_holds_all_rows_and_the_largest_region(moon):
    flow, X = moon
    ax = plot_density(flow, X, ax=blank())
    box = ax.viewLim
    outermost = outlines(ax).get_paths()[0].vertices
    for points in (X.to_numpy(), outermost):
        assert (points >= box.min).all()
        assert (points <= box.max).all()


def test_one_column_is_a_curve_over_a_histogram(line):
    flow, X = line
    ax = plot_density(flow, X, n_grid=50, ax=blank())
    x, p = labelled(ax, "density").T
    np.testing.assert_allclose(p, np.exp(flow.score_samples(x[:, None])))
    # The window's margin reaches beyond the bound, where the density is zero.
    assert x[0] < 0
    assert p[0] == 0
    assert sum(bar.get_width() * bar.get_height() for bar in ax.patches) == pytest.approx(1)
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["x0", "density (1 / data unit)"]


def test_density_says_what_it_expects(moon, space):
    flow, X = moon
    with pytest.raises(ValueError, match=r"Expected .* got 3\. plot_samples shows the pairs"):
        plot_density(space[0])
    for levels in [(), (0.5, 1.0), (0.0,), (0.1, 0.2, 0.3, 0.4, 0.5)]:
        with pytest.raises(ValueError, match=r"Expected one to 4 levels, masses .*; got \("):
            plot_density(flow, levels=levels)
    with pytest.raises(ValueError, match="Expected n_grid to be at least 2; got 1"):
        plot_density(flow, n_grid=1)
    with pytest.raises(ValueError, match=r"Expected columns among 'length', 'width' .* got 'hue'"):
        plot_density(flow, columns=["length", "hue"])
    with pytest.raises(ValueError, match=r"Expected 2 different column\(s\); got \[0, 'length'\]"):
        plot_density(flow, columns=[0, "length"])
    with pytest.raises(ValueError, match=r"Expected X of shape \(N, 2\); got \(300, 1\)"):
        plot_density(flow, X[["length"]])
    with pytest.raises(ValueError, match=r"Expected X with the columns .*; got \['width', 'len"):
        plot_density(flow, X[["width", "length"]])
    with pytest.raises(ValueError, match=r"got NaN or infinity in 1 of 2 rows \(first: row 1\)"):
        plot_density(flow, np.array([[1.0, 2.0], [np.nan, 1.0]]))
    assert plt.get_fignums() == []


def contrast(one, other):
    """Return the contrast ratio of two colours as the guidelines define it, 1 to 21."""

    def luminance(color):
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_points_and_outlines_stand_out_from_every_colour_of_the_image(moon):
    ax = plot_density(*moon, n_grid=20, ax=blank())
    (points,) = [line for line in ax.lines if line.get_label() == "data"]
    assert points.get_markeredgewidth() > 0
    outline, (edge,) = outlines(ax), outlines(ax).get_path_effects()
    pairs = [
        (points.get_markerfacecolor(), points.get_markeredgecolor()),
        (outline.get_edgecolor()[0], edge._gc["foreground"]),
    ]
    for pair in pairs:
        for color in COLORMAP(np.linspace(0, 1, 50)):
            assert max(contrast(one, color) for one in pair) > CONTRAST


def test_a_count_has_stems_at_whole_numbers():
    X = np.random.default_rng(0).poisson(3.0, size=(200, 1)).astype(float)
    settings = {"widths": (3,), "n_radial": 0, "noise": 0.0, "max_iter": 3, "n_estimators": 1}
    flow = ConvexPotentialFlow(discrete=[0], decay=0.1, **settings).fit(X)
    ax = plot_density(flow, X, ax=blank())
    (tops,) = ax.get_lines()
    x, heights = tops.get_data()
    np.testing.assert_array_equal(x, np.round(x))
    np.testing.assert_allclose(heights, np.exp(flow.score_samples(x[:, None])))
    assert tops.get_linestyle() == "None"
    assert ax.get_ylabel() == "probability"
    assert {"data", "probability"} == set(legend(ax))
    # A count of many values has as many stems as there are points, at whole numbers still.
    few = plot_density(flow, X, n_grid=4, ax=blank()).get_lines()[0].get_xdata()
    assert 1 < len(few) <= 4
    np.testing.assert_array_equal(few, np.round(few))
