"""Loss against seconds to the best model, a panel for every data set."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.peers import PEERS
from benchmarks.suites import Suite
from benchmarks.summary import LOSSES, Records, cell, peers_in

# Okabe and Ito's colours, told apart by the colour-blind, and a shape besides.
STYLES = {
    "brenier": ("#D55E00", "*"),
    "brenier-composed": ("#8B0000", "P"),
    "brenier-mixture": ("#332288", "p"),
    "brenier-auto": ("#AA4499", "X"),
    "gaussian": ("#000000", "_"),
    "mixture": ("#0072B2", "o"),
    "kde": ("#56B4E9", "D"),
    "zuko-nsf": ("#009E73", "s"),
    "zuko-maf": ("#CC79A7", "^"),
    "flowjax-nsf": ("#E69F00", "v"),
    "vine": ("#7F7F7F", "X"),
}
GAUSSIAN = "gaussian"
COLUMNS = 4
PANEL = (3.3, 2.9)


def draw(suite: Suite, records: Records, path: Path) -> None:
    """Draw mean and standard deviation over seeds, one marker a peer."""
    panels = list(dict.fromkeys(record["data"] for record in records))
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (max(columns, 2) * PANEL[0], rows * PANEL[1] + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
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
    """Draw a data set: the Gaussian, which takes no time, as a line, the others as markers."""
    losses = {peer: cell(records, data, peer, suite.compared).values for peer in PEERS}
    losses = {peer: values for peer, values in losses.items() if values}
    means = {peer: float(np.mean(values)) for peer, values in losses.items()}
    logarithmic = suite.compared == "gap" and min(means.values(), default=0.0) > 0
    ceiling = np.inf if logarithmic else _ceiling(means)
    for peer in losses:
        if peer == GAUSSIAN:
            ax.axhline(means[peer], color=STYLES[peer][0], linestyle="--", linewidth=1)
            continue
        seconds = float(np.mean(cell(records, data, peer, "best_at").values))
        if means[peer] > ceiling:
            _above(ax, peer, seconds, means[peer], ceiling)
        else:
            _marker(ax, peer, seconds, losses[peer])
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator())
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelbottom=True)
    if logarithmic:
        ax.set_yscale("log")
    ax.set_title(data, fontsize="medium")
    ax.grid(color="0.9")
    ax.set_axisbelow(True)


def _ceiling(means: dict[str, float]) -> float:
    """Return a loss a little above the Gaussian's: what is higher would squeeze all the others."""
    if GAUSSIAN not in means:
        return np.inf
    return means[GAUSSIAN] + 0.1 + 0.1 * (means[GAUSSIAN] - min(means.values()))


def _marker(ax: Axes, peer: str, seconds: float, losses: tuple[float, ...]) -> None:
    colour, marker = STYLES[peer]
    spread = float(np.std(losses, ddof=1)) if len(losses) > 1 else 0.0
    ax.errorbar(
        seconds,
        float(np.mean(losses)),
        spread,
        color=colour,
        marker=marker,
        markersize=_size(marker),
        linestyle="none",
        capsize=2,
    )


def _above(ax: Axes, peer: str, seconds: float, loss: float, ceiling: float) -> None:
    """Draw a marker at the ceiling; the loss above it stands left, most other markers right."""
    colour, marker = STYLES[peer]
    ax.plot(seconds, ceiling, color=colour, marker=marker, markersize=_size(marker))
    ax.annotate(
        f"at {loss:.2f}",
        (seconds, ceiling),
        xytext=(-7, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize="small",
    )


def _key(peer: str) -> Line2D:
    colour, marker = STYLES[peer]
    if peer == GAUSSIAN:
        return Line2D([], [], color=colour, linestyle="--", linewidth=1, label=peer)
    return Line2D(
        [], [], color=colour, marker=marker, markersize=_size(marker), linestyle="none", label=peer
    )


def _size(marker: str) -> float:
    return 13.0 if marker == "*" else 7.0
