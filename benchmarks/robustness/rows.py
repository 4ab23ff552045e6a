"""All rows: a new one is a line in the dictionary."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from benchmarks.robustness import attempts, kills, ugly
from benchmarks.robustness.tally import Tally


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    run : callable
        Makes so many cases, in a folder of its own.
    cases : int
        How many are asked for.
    """

    run: Callable[[int, Path], Tally]
    cases: int


def _apart(module: str) -> Callable[[int, Path], Tally]:
    run = partial(attempts.apart, f"benchmarks.robustness.{module}")
    return lambda cases, _: run(cases)


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "kill-writer": Row(kills.writers, 1000),
        "kill-fit": Row(kills.fits, 50),
        "models": Row(_apart("models"), 10_000),
        "tables": Row(_apart("tables"), 5000),
        "ugly": Row(ugly.run, 150),
    }
)
"""By name."""
