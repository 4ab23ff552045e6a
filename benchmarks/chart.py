"""Loss against seconds to the best model, a panel for every data set."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.peers import PEERS
from benchmarks.suites import Suite
from benchmarks.summary import LOSSES, Records, cell, peers_in

# Okabe and Ito's colours, told apart by the colour-blind, and a shape besides.
STYLES = {
    "brenier": ("#D55E00", "*"),
    "gaussian": ("#000000", "x"),
    "mixture": ("#0072B2", "o"),
    "kde": ("#56B4E9", "D"),
    "zuko-nsf": ("#009E73", "s"),
    "zuko-maf": ("#CC79A7", "^"),
    "flowjax-nsf": ("#E69F00", "v"),
}
COLUMNS = 4
PANEL = (3.3, 2.9)


def draw(suite: Suite, records: Records, path: Path) -> None:
    """Draw mean and standard deviation over seeds, one marker a peer."""
    panels = list(dict.fromkeys(record["data"] for record in records))
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (max(columns, 2) * PANEL[0], rows * PANEL[1] + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, data in zip(axes, panels, strict=False):
        _panel(ax, suite, records, data)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    title = next(loss.title for loss in LOSSES if loss.field == suite.compared)
    figure.supylabel(title, fontsize="medium")
    figure.supxlabel("seconds to the best model", fontsize="medium")
    peers = peers_in(records)
    figure.legend(
        handles=[_key(peer) for peer in peers],
        loc="outside upper center",
        ncols=len(peers) if columns > 2 else 4,
        frameon=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _panel(ax: Axes, suite: Suite, records: Records, data: str) -> None:
    lowest = np.inf
    for peer in PEERS:
        losses = cell(records, data, peer, suite.compared).values
        seconds = cell(records, data, peer, "best_at").values
        if not losses:
            continue
        lowest = min(lowest, float(np.mean(losses)))
        colour, marker = STYLES[peer]
        spread = float(np.std(losses, ddof=1)) if len(losses) > 1 else 0.0
        ax.errorbar(
            max(float(np.mean(seconds)), 1e-2),
            float(np.mean(losses)),
            spread,
            color=colour,
            marker=marker,
            markersize=_size(marker),
            linestyle="none",
            capsize=2,
        )
    ax.set_xscale("log")
    ax.set_xlim(5e-3, None)
    if suite.compared == "gap" and lowest > 0:
        ax.set_yscale("log")
    ax.set_title(data, fontsize="medium")
    ax.grid(color="0.9")
    ax.set_axisbelow(True)


def _key(peer: str) -> Line2D:
    colour, marker = STYLES[peer]
    return Line2D(
        [], [], color=colour, marker=marker, markersize=_size(marker), linestyle="none", label=peer
    )


def _size(marker: str) -> float:
    return 13.0 if marker == "*" else 7.0
