"""Pictures, all of them: where they are drawn, how they are saved, what they ask for."""

import copy
import doctest
import io
import subprocess
import sys
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import matplotlib.image
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text
from pictures import blank, table
from sklearn.exceptions import NotFittedError

from brenier import ConvexPotentialFlow, plots
from brenier.plots import (
    plot_calibration,
    plot_density,
    plot_map,
    plot_normal,
    plot_samples,
    plot_training,
)
from brenier.plots.style import as_label

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
    figure.savefig(tmp_path / f"picture.{ending}", dpi=50)
    READ[ending]((tmp_path / f"picture.{ending}").read_bytes(), figure)


def read_png(content, figure):
    pixels = matplotlib.image.imread(io.BytesIO(content))[::-1, :, :3]
    assert pixels.shape[1::-1] == pytest.approx(50 * figure.get_size_inches(), abs=1)
    for ax in figure.axes:
        (left, low), (right, high) = (ax.get_position().get_points() * pixels.shape[1::-1]).astype(
            int
        )
        # Something is drawn in each of the axes, not only their frame.
        assert pixels[low + 3 : high - 3, left + 3 : right - 3].std(axis=(0, 1)).max() > 0.02


def read_pdf(content, figure):
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    # Points are an image, so that the file stays small.
    points = [line for ax in figure.axes for line in ax.lines if line.get_rasterized()]
    assert (b"/Subtype /Image" in content) == bool(points)


def read_svg(content, figure):
    ElementTree.fromstring(content)
    for ax in figure.axes:
        for label in filter(None, [ax.get_xlabel(), ax.get_ylabel(), ax.get_title()]):
            assert escape(label) in content.decode()


READ = {"png": read_png, "pdf": read_pdf, "svg": read_svg}


def test_without_matplotlib_the_extra_is_named():
    hidden = "import sys; sys.modules['matplotlib'] = None; import brenier.plots"
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        "ModuleNotFoundError: Expected matplotlib, which draws the figures; it is not installed. "
        "Install brenier[plots]."
    )


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "training"])
def test_a_flow_must_be_fitted(name):
    with pytest.raises(NotFittedError):
        PICTURES[name](ConvexPotentialFlow(), np.zeros((3, 2)), None)
    assert plt.get_fignums() == []


def drawn_points(drawn):
    """Return the points of all lines, panel by panel."""
    axes = drawn.axes if isinstance(drawn, Figure) else [drawn]
    return [np.column_stack(line.get_data()) for ax in axes for line in ax.lines]


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("name", [name for name in PICTURES if name != "training"])
def test_columns_of_a_fit_are_found_in_larger_tables(name, kind, moon):
    flow, X = moon
    columns = {"name": ["star"] * len(X), "width": X["width"], "length": X["length"]}
    choosing = copy.deepcopy(flow).set_params(columns=["length", "w*"])
    where = [Figure() if name == "samples" else blank() for _ in range(2)]
    found = drawn_points(PICTURES[name](choosing, kind(columns), where[0]))
    expected = drawn_points(PICTURES[name](flow, X, where[1]))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="none called 'width'"):
        PICTURES[name](choosing, X[["length"]], None)
    # All columns of a table are those of the fit where it chose none.
    with pytest.raises(ValueError, match="Expected|unseen"):
        PICTURES[name](flow, kind(columns), None)


@pytest.mark.parametrize("name", ["density", "map", "samples"])
def test_text_and_missing_values_in_rows_are_named(name, moon):
    flow, X = moon
    with pytest.raises(ValueError, match="got str 'wide' in row 0 column 'width'"):
        PICTURES[name](flow, X.with_columns(width=pl.lit("wide")), None)
    missing = pl.when(pl.int_range(pl.len()) > 0).then(pl.col("width"))
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 of 300 rows \(first: row 0"):
        PICTURES[name](flow, X.with_columns(width=missing), None)


def test_the_example_runs(moon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow, X = moon
    found = doctest.testmod(plots, extraglobs={"flow": flow, "X": X})
    assert (found.attempted, found.failed) == (3, 0)
    assert (tmp_path / "density.png").is_file()


# Not one is a formula that matplotlib can set.
SIGNS = (r"$\frac$", "a$b$ _^{", "\x1b[2J", "$", r"\$x$")


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("draw", [plot_density, plot_map, plot_samples])
@pytest.mark.parametrize("name", SIGNS)
def test_any_name_of_a_column_is_drawn_as_it_is(draw, name, moon, tmp_path):
    flow, X = moon
    signed = copy.deepcopy(flow)
    signed.feature_names_in_ = np.array([name, "other"], dtype=object)
    rows = table(X.to_numpy(), [name, "other"])
    drawn = draw(signed, rows)
    figure = drawn if isinstance(drawn, Figure) else drawn.figure
    figure.savefig(tmp_path / "x.png")
    assert as_label(name) in {text.get_text() for text in figure.findobj(Text)}


def test_a_label_shows_dollars_and_spells_out_controls():
    assert as_label("price") == "price"
    assert as_label("a$b$") == r"a\$b\$"
    assert as_label("\x1b[2J") == r"\x1b[2J"
