"""Tables of an accuracy suite: data sets down, peers across, mean and sd over seeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fit import FITTED
from benchmarks.suites import Suite

Records = list[dict[str, Any]]
# Characters of a printed line: a row of seven peers, wherever it is printed.
WIDTH = 140


@dataclass(frozen=True)
class Quantity:
    """A field of the records: what it is called, its digits, and whether a best is marked."""

    field: str
    title: str
    digits: int
    ranked: bool


LOSSES = (
    Quantity("nll", "Test NLL (nats per row)", 3, ranked=True),
    Quantity("J", "J (nats per row)", 3, ranked=True),
    Quantity("gap", "KL gap (nats per row)", 4, ranked=True),
    Quantity("outside", "Share of draws outside every piece", 4, ranked=True),
)
COSTS = (
    Quantity("best_at", "Seconds to the best model", 1, ranked=False),
    Quantity("seconds", "Seconds of the whole fit", 1, ranked=False),
    Quantity("peak_mib", "Peak memory (MiB)", 0, ranked=False),
)


@dataclass(frozen=True)
class Cell:
    """A peer on a data set: the quantity seed by seed, and how many fits gave none."""

    values: tuple[float, ...]
    failures: int

    @property
    def mean(self) -> float:
        """Mean over seeds; infinite if a fit failed, so that it is never the best."""
        return float(np.mean(self.values)) if self.values and not self.failures else np.inf

    def text(self, digits: int) -> str:
        """Return mean and standard deviation, and how many failed."""
        parts = []
        if self.values:
            parts.append(f"{np.mean(self.values):.{digits}f}")
        if len(self.values) > 1:
            parts.append(f"± {np.std(self.values, ddof=1):.{digits}f}")
        if self.failures:
            parts.append(f"({self.failures} of {self.failures + len(self.values)} failed)")
        return " ".join(parts)


@dataclass(frozen=True)
class Line:
    """A data set's cells by peer, as text, and which of the peers are best."""

    data: str
    cells: dict[str, str]
    best: frozenset[str]


def quantities(suite: Suite, records: Records) -> list[Quantity]:
    """Return what there is to show of a suite, the losses first."""
    fields = {field for record in records for field in record}
    losses = [loss for loss in LOSSES if loss.field in fields]
    if suite.name != "moons":
        losses = [loss for loss in losses if loss.field != "J"]
    losses.sort(key=lambda loss: loss.field != suite.compared)
    return [*losses, *(COSTS if suite.costs else ())]


def lines(records: Records, quantity: Quantity) -> list[Line]:
    """Return the table of a quantity; the best of several are those of the lowest shown mean."""
    return [
        _line(data, {peer: cell(records, data, peer, quantity.field) for peer in peers}, quantity)
        for data, peers in _peers_by_data(records).items()
    ]


def cell(records: Records, data: str, peer: str, field: str) -> Cell:
    """Return the values of a peer on a data set, and how many fits gave none."""
    fits = [one for one in records if one["data"] == data and one["peer"] == peer]
    values = tuple(one[field] for one in fits if one["status"] == FITTED)
    return Cell(values, len(fits) - len(values))


def _line(data: str, cells: dict[str, Cell], quantity: Quantity) -> Line:
    texts = {peer: cell.text(quantity.digits) for peer, cell in cells.items()}
    means = {peer: round(cell.mean, quantity.digits) for peer, cell in cells.items()}
    lowest = min(means.values())
    ranked = quantity.ranked and len(cells) > 1 and np.isfinite(lowest)
    best = frozenset(peer for peer, mean in means.items() if ranked and mean == lowest)
    return Line(data, texts, best)


def _peers_by_data(records: Records) -> dict[str, list[str]]:
    """Return the peers of every data set, in the order in which they come."""
    return {
        data: peers_in([one for one in records if one["data"] == data])
        for data in dict.fromkeys(record["data"] for record in records)
    }


def peers_in(records: Records) -> list[str]:
    """Return the peers that there are records of, in the order in which they come."""
    return list(dict.fromkeys(record["peer"] for record in records))


def show(suite: Suite, records: Records) -> None:
    """Print the tables."""
    console = Console(width=WIDTH)
    for quantity in quantities(suite, records):
        console.print(_rich(suite, records, quantity))


def _rich(suite: Suite, records: Records, quantity: Quantity) -> Table:
    peers = peers_in(records)
    table = Table("", *peers, title=f"{suite.title}: {quantity.title}")
    for line in lines(records, quantity):
        table.add_row(line.data, *_row(line, peers, lambda text: f"[bold]{text} *[/bold]"))
    return table


def markdown(records: Records, quantity: Quantity) -> list[str]:
    """Return the lines of a Markdown table."""
    peers = peers_in(records)
    return [
        f"| | {' | '.join(peers)} |",
        "|---" * (len(peers) + 1) + "|",
        *(
            f"| {line.data} | {' | '.join(_row(line, peers, lambda text: f'**{text}**'))} |"
            for line in lines(records, quantity)
        ),
    ]


def _row(line: Line, peers: list[str], mark: Callable[[str], str]) -> list[str]:
    return [
        mark(line.cells[peer]) if peer in line.best else line.cells.get(peer, "") for peer in peers
    ]
