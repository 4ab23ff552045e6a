"""Measured figures beside their targets, as Markdown."""

from collections.abc import Sequence
from typing import Any


def markdown(figures: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of a table of figures as `benchmarks.report.keep` keeps them."""
    lines = ["| what | measured | asked | |", "|---|---|---|---|"]
    for figure in figures:
        sign = "at least" if figure.get("least") else "at most"
        target = "" if figure["target"] is None else f"{sign} {figure['target']:g}"
        missed = "missed; " if figure["reached"] is False else ""
        cells = (figure["what"], f"{figure['measured']:.4g}", target, missed + figure["detail"])
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return lines


def _escaped(cell: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return cell.replace("|", "\\|")
