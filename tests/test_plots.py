"""Pictures: what is drawn is what the flow says."""

import dataclasses
import doctest
import warnings

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.path import Path
from scipy import stats
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from brenier import ConvexPotentialFlow, plots
from brenier.data.datasets import CorrelatedGaussian, MAFMoon
from brenier.plots import (
    plot_calibration,
    plot_density,
    plot_map,
    plot_normal,
    plot_samples,
    plot_training,
)

mpl.use("Agg")

# Four standard errors of the difference of two shares, each over 4000 draws, and the grid's cells.
SHARE = 0.05
# What the inversion leaves of z - grad Phi(y).
INVERSION = 1e-6


def fitted(X, **changes):
    settings = {"widths": (8,), "n_radial": 2, "max_iter": 20, "decay": 1e-3} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ConvexPotentialFlow(**settings).fit(X)


def table(X, names):
    return pl.DataFrame(X, schema=names)


@pytest.fixture(scope="module")
def moon():
    """Two named columns, their flow."""
    X = table(MAFMoon().sample(300, random_state=0), ["length", "width"])
    return fitted(X), X


@pytest.fixture(scope="module")
def line():
    """One column."""
    X = np.exp(CorrelatedGaussian(1).sample(300, random_state=0))
    return fitted(X, max_iter=5, bounds=[(0, None)]), X


@pytest.fixture(scope="module")
def space():
    """Three named columns."""
    X = table(CorrelatedGaussian(3).sample(300, random_state=0), ["a", "b", "c"])
    return fitted(X, max_iter=5), X


@pytest.fixture(scope="module")
def thesis():
    """Two columns, no quadratic terms: some z have no preimage."""
    X = MAFMoon().sample(300, random_state=0)
    return fitted(X, max_iter=5, quadratic=False), X


@dataclasses.dataclass
class Scaled:
    """A stand-in for a flow of n columns, z = x / scale with NaN for x beyond 100."""

    n: int
    scale: float = 1.0

    def get_feature_names_out(self):
        return np.array([f"z{i}" for i in range(self.n)], dtype=object)

    def score_samples(self, X):
        return stats.norm(scale=self.scale).logpdf(X).sum(axis=1)

    def transform(self, X):
        return np.where((np.abs(X) > 100).any(axis=1, keepdims=True), np.nan, X / self.scale)

    def invert(self, Z):
        raise NotImplementedError

    def sample(self, n_samples, random_state):
        return self.scale * np.random.default_rng(random_state).normal(size=(n_samples, self.n))


@pytest.fixture(autouse=True)
def nothing_global_is_changed():
    before = mpl.rcParams.copy()
    yield
    assert mpl.rcParams == before
    plt.close("all")


def blank():
    return Figure(layout="constrained").add_subplot()


def labelled(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return np.column_stack(found.get_data())


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# plot_density


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


# plot_map


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
    assert ax.get_title() == ""


def test_points_without_preimage_are_left_out_and_counted(thesis):
    flow, X = thesis
    ax = plot_map(flow, X, ax=blank())
    points = np.concatenate([curve for group in curves(ax) for curve in group])
    missing = np.isnan(points).any(axis=1).sum()
    assert 0 < missing < len(points)
    assert ax.get_title() == f"{missing} of {len(points)} points of the curves have no preimage"


def test_map_needs_two_columns(space):
    with pytest.raises(ValueError, match=r"Expected a flow of two columns; got 3\. plot_normal"):
        plot_map(space[0])


# plot_normal


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


# plot_samples


def test_two_columns_are_side_by_side(moon):
    flow, X = moon
    fig = plot_samples(flow, X, n_samples=40, random_state=3, fig=Figure())
    left, right = fig.axes
    np.testing.assert_array_equal(labelled(left, "data"), X.to_numpy())
    np.testing.assert_array_equal(labelled(right, "samples"), flow.sample(40, random_state=3))
    assert [left.get_xlabel(), left.get_ylabel(), right.get_xlabel()] == [*X.columns, X.columns[0]]
    assert [left.get_title(), right.get_title()] == ["data (300 rows)", "samples (40 rows)"]
    assert left.viewLim.bounds == right.viewLim.bounds


def test_pairs_share_their_axes_and_name_their_columns(space):
    flow, X = space
    fig = plot_samples(flow, X, columns=["c", "a", "b"], fig=Figure())
    panels = {(a.get_subplotspec().rowspan[0], a.get_subplotspec().colspan[0]): a for a in fig.axes}
    assert sorted(panels) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    drawn = {"data": X.to_numpy(), "samples": flow.sample(len(X), random_state=0)}
    for (i, j), ax in panels.items():
        if i > j:
            for label, rows in drawn.items():
                np.testing.assert_array_equal(labelled(ax, label), rows[:, [2, 0, 1]][:, [j, i]])
    assert [panels[2, j].get_xlabel() for j in range(3)] == ["c", "a", "b"]
    assert [panels[i, 0].get_ylabel() for i in range(3)] == ["", "a", "b"]
    assert panels[2, 0].get_xlim() == panels[0, 0].get_xlim()
    assert panels[2, 1].get_ylim() == panels[2, 0].get_ylim()
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["data", "samples"]


def test_one_column_is_two_histograms(space):
    fig = plot_samples(*space, columns=["b"], fig=Figure())
    (ax,) = fig.axes
    assert len(ax.patches) == 2
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["b", "density (1 / data unit)"]
    assert sorted(legend(ax)) == ["data", "samples"]


def test_samples_draw_in_a_part_of_a_figure(moon):
    whole = Figure()
    left, right = whole.subfigures(1, 2)
    assert plot_samples(*moon, n_samples=10, fig=left) is left
    assert len(left.axes) == 2
    assert right.axes == []


def test_many_rows_are_thinned_and_many_columns_left_out():
    flow, X = Scaled(8), np.random.default_rng(0).normal(size=(5000, 8))
    fig = plot_samples(flow, X, fig=Figure())
    assert len(fig.axes) == 6 * 7 / 2
    below = [ax for ax in fig.axes if ax.lines]
    assert {len(line.get_xdata()) for ax in below for line in ax.lines} == {4000}
    with pytest.raises(ValueError, match=r"Expected 1 to 6 different column\(s\); got \[0, 1, 2"):
        plot_samples(flow, X, columns=range(7))


# plot_training


@pytest.mark.parametrize(
    ("x", "label"),
    [
        ("iteration", "iteration"),
        ("work_units", "work units (passes of single samples)"),
        ("seconds", "wall time (s)"),
    ],
)
def test_training_is_the_reports_history(moon, x, label):
    report = moon[0].report_
    ax = plot_training(report, x=x, ax=blank())
    train, heldout, baseline, returned = ax.lines
    history = report.history
    np.testing.assert_array_equal(train.get_data(), [history[x], history["train_log_likelihood"]])
    np.testing.assert_array_equal(
        heldout.get_data(), [history[x], history["heldout_log_likelihood"]]
    )
    assert set(baseline.get_ydata()) == {report.gaussian_heldout_log_likelihood}
    assert returned.get_xdata() == history[x][report.best_iteration - 1]
    # The iterate of the search; the model has other potentials beside it.
    assert returned.get_ydata() == max(history["heldout_log_likelihood"])
    assert [line.get_linestyle() for line in ax.lines[:3]] == ["--", "-", ":"]
    assert [ax.get_xlabel(), ax.get_ylabel()] == [label, "log-likelihood (nats per row)"]
    assert legend(ax) == ["training rows", "held-out rows", "Gaussian baseline", "returned"]


def test_several_runs_have_a_name_and_a_colour_each(moon, space):
    ax = plot_training({"moon": moon[0].report_, "space": space[0].report_}, ax=blank())
    assert legend(ax)[:2] == ["moon", "space"]
    colours = (
        [line.get_color() for line in ax.lines[:3]],
        [line.get_color() for line in ax.lines[4:7]],
    )
    assert [len(set(colour)) for colour in colours] == [1, 1]
    assert colours[0][0] != colours[1][0]


def test_training_without_held_out_rows(moon):
    report = moon[0].report_
    none = (float("nan"),) * report.n_iter
    blind = dataclasses.replace(
        report,
        history=report.history | {"heldout_log_likelihood": none},
        gaussian_heldout_log_likelihood=float("nan"),
    )
    ax = plot_training({"one": blind, "two": blind}, ax=blank())
    train, baseline, returned = ax.lines[:3]
    assert legend(ax) == ["one", "two", "training rows", "Gaussian baseline", "returned"]
    assert set(baseline.get_ydata()) == {report.gaussian_train_log_likelihood}
    assert returned.get_ydata() == train.get_ydata()[report.best_iteration - 1]


def test_iterations_that_did_not_look_at_held_out_rows_leave_no_gap(moon):
    report = moon[0].report_
    heldout = np.array(report.history["heldout_log_likelihood"])
    heldout[1::2] = np.nan
    history = report.history | {"heldout_log_likelihood": tuple(heldout)}
    ax = plot_training(dataclasses.replace(report, history=history), ax=blank())
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), heldout[::2])


def test_a_gaussian_has_no_returned_iterate(moon):
    ax = plot_training(dataclasses.replace(moon[0].report_, best_iteration=0), ax=blank())
    assert len(ax.lines[3].get_xdata()) == 0


def test_training_says_what_it_expects(moon):
    report = moon[0].report_
    with pytest.raises(ValueError, match=r"Expected x to be one of iteration, .*; got 'epochs'"):
        plot_training(report, x="epochs")
    with pytest.raises(ValueError, match=r"Expected one to 6 reports, .*; got 7"):
        plot_training({str(i): report for i in range(7)})
    with pytest.raises(ValueError, match=r"Expected one to 6 reports, .*; got 0"):
        plot_training({})


# plot_calibration


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


# All of them

PICTURES = {
    "density": lambda flow, X, where: plot_density(flow, X, n_grid=30, ax=where),
    "map": lambda flow, X, where: plot_map(flow, X, ax=where),
    "normal": lambda flow, X, where: plot_normal(flow, X, ax=where),
    "samples": lambda flow, X, where: plot_samples(flow, X, fig=where),
    "training": lambda flow, _, where: plot_training(flow.report_, ax=where),
    "calibration": lambda flow, X, where: plot_calibration(flow, X, ax=where),
}
on_all = pytest.mark.parametrize("name", PICTURES)


@on_all
def test_given_axes_are_used_without_pyplot(moon, name):
    where = Figure() if name == "samples" else blank()
    assert PICTURES[name](*moon, where) is where
    assert plt.get_fignums() == []


@on_all
@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_new_figures_are_made_and_saved(moon, name, ending, tmp_path):
    drawn = PICTURES[name](*moon, None)
    assert len(plt.get_fignums()) == 1
    figure = drawn if name == "samples" else drawn.figure
    figure.savefig(tmp_path / f"picture.{ending}")
    assert (tmp_path / f"picture.{ending}").stat().st_size > 5000


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "training"])
def test_a_flow_must_be_fitted(name):
    with pytest.raises(NotFittedError):
        PICTURES[name](ConvexPotentialFlow(), np.zeros((3, 2)), None)
    assert plt.get_fignums() == []


def test_the_example_runs(moon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow, X = moon
    found = doctest.testmod(plots, extraglobs={"flow": flow, "X": X})
    assert (found.attempted, found.failed) == (3, 0)
    assert (tmp_path / "density.png").is_file()
