"""Figures can be read: no text touches another."""

import itertools
from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from reproduction import TINY

from brenier import load
from brenier.reproduce.figures import figure_2_1, figure_4_1, figure_4_2, figure_spread

# Pixels at 100 dots an inch.
APART = 2


def touching(boxes):
    """Return how many pairs of boxes overlap, or are not so far apart."""
    wider = [box.padded(APART / 2) for box in boxes]
    return sum(one.overlaps(other) for one, other in itertools.combinations(wider, 2))


def check_spacing(figure):
    """Assert that no axes with all that is written around them reach into others."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    around = [*figure.axes, *figure.legends]
    assert touching([artist.get_tightbbox(renderer) for artist in around]) == 0
    for ax in figure.axes:
        texts = [text for text in (ax.title, ax.xaxis.label, ax.yaxis.label) if text.get_text()]
        written = texts if ax.get_legend() is None else [*texts, ax.get_legend()]
        assert touching([artist.get_tightbbox(renderer) for artist in written]) == 0


@pytest.fixture(params=["lbfgs-varpro", "default"])
def flow(request, made, folder):
    return load(folder / "runs" / f"{request.param}-seed0.brenier")


def test_no_text_touches_another(made):
    adam, lbfgs, default = made.runs
    others = [replace(lbfgs, label=f"gauss-newton-{end}") for end in ("varpro", "full")]
    runs = [adam, lbfgs, default, *others]
    for draw in (figure_2_1, figure_4_1, figure_spread):
        check_spacing(draw(TINY, runs).figure)


def test_no_text_touches_another_around_a_map(flow):
    check_spacing(figure_4_2("of a test", flow, TINY.rows(0).train).figure)
