"""Held-out loss against work units, with and without elimination, a panel for every flow."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from benchmarks.summary import Records
from brenier.reproduce.figures import COLOURS, MARKERS

GAUSSIAN: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1}


def draw(records: Records, path: Path) -> None:
    """Draw the held-out loss so far against work units, a panel a flow and a line a seed."""
    flows = list(dict.fromkeys(record["flow"] for record in records))
    columns = min(2, len(flows))
    rows = -(-len(flows) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.4 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, flow in zip(axes, flows, strict=False):
        _panel(ax, [record for record in records if record["flow"] == flow])
        ax.set_title(flow, fontsize="medium")
    for ax in axes[len(flows) :]:
        ax.set_axis_off()
    figure.supxlabel("work units (passes of single samples)", fontsize="medium")
    figure.supylabel("held-out NLL, best so far (nats per row)", fontsize="medium")
    optimizers = dict.fromkeys(record["optimizer"] for record in records)
    keys = [Line2D([], [], label=optimizer, **_style(optimizer)) for optimizer in optimizers]
    keys.append(Line2D([], [], label="Gaussian", **GAUSSIAN))
    figure.legend(handles=keys, loc="outside upper center", ncols=len(keys), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _panel(ax: Axes, records: Records) -> None:
    gaussian = -float(np.mean([record["gaussian"] for record in records]))
    lowest = -max(record["curve"]["heldout"][-1] for record in records)
    for record in records:
        curve = record["curve"]
        style = _style(record["optimizer"])
        ax.plot(curve["units"], -np.array(curve["heldout"]), markevery=0.2, **style)
    ax.axhline(gaussian, **GAUSSIAN)
    # What is above the Gaussian's would squeeze all the others.
    room = 0.1 * abs(gaussian - lowest)
    ax.set(xscale="log", ylim=(min(lowest, gaussian) - room, max(lowest, gaussian) + room))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(color="0.9")
    ax.set_axisbelow(True)


def _style(optimizer: str) -> dict[str, Any]:
    return {
        "color": COLOURS[optimizer],
        "marker": MARKERS[optimizer],
        "linestyle": "-" if optimizer.endswith("varpro") else "--",
        "linewidth": 1.2,
        "markersize": 5,
    }
