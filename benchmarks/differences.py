"""How much worse peers are than brenier, split by split, with standard errors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fit import FITTED
from benchmarks.summary import WIDTH, Records, peers_in

AGAINST = "brenier"
TITLE = "Test NLL less that of brenier, on the same splits"
MEAN = "mean"


@dataclass(frozen=True)
class Difference:
    """A mean of differences (nats per row, positive where brenier is better), its standard error.

    The error is NaN where there is a single split.
    """

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f}" + (f" ± {self.error:.3f}" if np.isfinite(self.error) else "")


def difference(records: Records, data: str, peer: str) -> Difference | None:
    """Return that of a peer on a data set, over the splits that both fitted; None if none."""
    theirs, ours = (_by_seed(records, data, name) for name in (peer, AGAINST))
    worse = [theirs[seed] - ours[seed] for seed in theirs if seed in ours]
    if not worse:
        return None
    error = np.std(worse, ddof=1) / np.sqrt(len(worse)) if len(worse) > 1 else np.nan
    return Difference(float(np.mean(worse)), float(error))


def _by_seed(records: Records, data: str, peer: str) -> dict[int, float]:
    return {
        one["seed"]: one["nll"]
        for one in records
        if (one["data"], one["peer"], one["status"]) == (data, peer, FITTED)
    }


def mean_of(found: list[Difference]) -> Difference | None:
    """Return the mean over data sets, each of the same weight."""
    if not found:
        return None
    error = np.sqrt(np.sum([one.error**2 for one in found])) / len(found)
    return Difference(float(np.mean([one.mean for one in found])), float(error))


def rows(records: Records) -> Iterator[list[str]]:
    """Yield a data set, brenier's splits of it and its differences; in the end their mean."""
    names = others(records)
    found: dict[str, list[Difference]] = {peer: [] for peer in names}
    for data in dict.fromkeys(one["data"] for one in records):
        line = [difference(records, data, peer) for peer in names]
        for peer, one in zip(names, line, strict=True):
            found[peer] += [] if one is None else [one]
        splits = len(_by_seed(records, data, AGAINST))
        yield [f"{data}, {splits} splits", *map(_text, line)]
    yield [MEAN, *(_text(mean_of(found[peer])) for peer in names)]


def _text(found: Difference | None) -> str:
    return "" if found is None else str(found)


def others(records: Records) -> list[str]:
    """Return the peers that are compared."""
    return [peer for peer in peers_in(records) if peer != AGAINST]


def markdown(records: Records) -> list[str]:
    """Return the lines of a Markdown table."""
    names = others(records)
    header = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    return [*header, *(f"| {' | '.join(row)} |" for row in rows(records))]


def show(records: Records) -> None:
    """Print the table."""
    table = Table("", *others(records), title=TITLE)
    for row in rows(records):
        table.add_row(*row)
    Console(width=WIDTH).print(table)
