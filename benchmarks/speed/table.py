"""Rows with their targets, what was measured of them, and the table of both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

HEADER = ("row", "what", "must", "stretch", "measured", "ratio", "reached", "n", "load")
Kept = dict[str, Any]
"""What is kept of a row: its targets, its repetitions, and where they were made."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `must` and `stretch` are None where there is no such target. `least` says that they are the
    least that is enough, where otherwise they are the most.
    """

    name: str
    what: str
    unit: str
    must: float | None = None
    stretch: float | None = None
    least: bool = False

    def reached(self, measured: float | None) -> str:
        """Return which target a figure reaches: "stretch", "must", "MISSED", or nothing to say."""
        if measured is None or self.must is None:
            return ""
        if self.stretch is not None and self._enough(measured, self.stretch):
            return "stretch"
        return "must" if self._enough(measured, self.must) else "MISSED"

    def _enough(self, measured: float, target: float) -> bool:
        return measured >= target if self.least else measured <= target

    def target(self, value: float | None) -> str:
        """Return a target as text."""
        sign = ">= " if self.least else ""
        return "" if value is None else f"{sign}{value:.3g} {self.unit}".rstrip()


def values(repetitions: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return what the repetitions that did not fail have measured."""
    return [one["value"] for one in repetitions if "value" in one]


def measured(kept: Kept | None) -> float | None:
    """Return the median of a row's repetitions, None where there is none."""
    found = values(kept["repetitions"]) if kept else []
    return median(found) if found else None


def ratio(row: Row, figure: float | None) -> float | None:
    """Return the figure over what it must be."""
    return None if figure is None or row.must is None else figure / row.must


def lines(rows: Sequence[Row], kept: Mapping[str, Kept]) -> list[str]:
    """Return the table as Markdown, its columns aligned."""
    cells = [HEADER, *(_cells(row, kept.get(row.name)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    shown = [_line(line, widths) for line in cells]
    return [shown[0], _line(["-" * width for width in widths], widths), *shown[1:]]


def _cells(row: Row, kept: Kept | None) -> tuple[str, ...]:
    figure, repetitions = measured(kept), kept["repetitions"] if kept else []
    over, loads = ratio(row, figure), [one["load"][0] for one in repetitions]
    failed = len(repetitions) - len(values(repetitions))
    return (
        row.name,
        row.what,
        row.target(row.must),
        row.target(row.stretch),
        "" if figure is None else f"{figure:.4g} {row.unit}".rstrip(),
        "" if over is None else f"{over:.2f}",
        row.reached(figure),
        "" if not repetitions else f"{len(repetitions)}{f' ({failed} failed)' if failed else ''}",
        f"{max(loads):.1f}" if loads else "",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(map(str.ljust, cells, widths)) + " |"
