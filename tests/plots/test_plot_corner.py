"""Rows and draws of a diagnosis in one corner plot, by itself: colours of matplotlib, a legend."""

from pathlib import Path

import pytest
from matplotlib.colors import to_hex

import brenier
from brenier.plots.diagnosis import plot_corner
from brenier.plots.style import BLUE, VERMILLION

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def figure():
    model = brenier.load(FIXTURES / "composed.brenier")
    return plot_corner(model.diagnose(model.sample(60, random_state=0), random_state=0))


def test_rows_and_draws_can_be_told_apart(figure):
    (legend,) = figure.legends
    shown = {
        text.get_text(): (line.get_color(), line.get_linestyle())
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert shown == {"rows": (BLUE, "-"), "draws": (VERMILLION, "--")}
    seen = [ax for ax in figure.axes if ax.get_visible()]
    assert len(seen) == 3
    drawn = {to_hex(patch.get_edgecolor()) for ax in seen for patch in ax.patches}
    assert drawn == {BLUE.lower(), VERMILLION.lower()}


def test_the_paper_is_not_transparent(figure):
    assert figure.get_facecolor()[3] == 1
