"""Regression by density on UCI tables: `python -m benchmarks.uci`, from the repository's root.

p(target given features) with the defaults, one fit for each of the 20 usual splits, beside NGBoost.
NGBoost wants an older scikit-learn than the other peers' newest (`brenier[bench-ngboost]`): where
it is not installed it is skipped, and a second call, from another environment on the same machine,
adds it to the same FOLDER. A finished fit is one file in FOLDER/fits, as in `benchmarks.accuracy`;
what is in FOLDER/uci.json and in the tables is of all of them.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import accuracy, data, report
from benchmarks.fit import FITTED, Task
from benchmarks.peers import REGRESSORS
from benchmarks.report import Figure
from benchmarks.summary import WIDTH, Records
from brenier.training.report import MeanAndError

NAME = "uci"
SPLITS = 20
BRENIER, RIVAL = "brenier", "ngboost"
# Highest mean test NLL (nats, in the target's own units), and on how many tables it must be below
# the rival's; least and most share of test targets in the central 90 % interval.
NLL_TARGETS = {"concrete": 3.03, "energy": 0.60, "yacht": 0.60}
LEAST_BETTER = 2
COVERAGE_TARGETS = (0.86, 0.94)
COLUMNS = ("data", "peer", "splits", "test NLL", "coverage of 90 %", "seconds (median)")
DESCRIPTION = (
    "Density of the target given all features, in nats and the target's own units: mean and "
    "standard error over the 20 splits of Y. Gal, 90 % of the rows to train on and 10 % to test. "
    "Coverage is the share of test targets in the central 90 % interval. Targets in these tables "
    "repeat (they are rounded), so that spikes in a density are rewarded: the figures compare "
    "densities with one another and are no entropy. The fits may have found compiled programs of "
    "earlier ones (JAX's compilation cache), and not all had the machine to themselves: their "
    "seconds do not compare."
)


@dataclass(frozen=True)
class Row:
    """A peer on a table, over all splits that were fitted."""

    data: str
    peer: str
    splits: int
    failures: int
    nll: MeanAndError
    coverage: float
    seconds: float

    @staticmethod
    def of(records: Records) -> "Row":
        """Return the row of a peer's records of one table."""
        fitted = [one for one in records if one["status"] == FITTED]

        def values(field: str) -> np.ndarray:
            return np.array([one[field] for one in fitted]) if fitted else np.array([np.nan])

        return Row(
            records[0]["data"],
            records[0]["peer"],
            len(records),
            len(records) - len(fitted),
            MeanAndError.of(values("nll")),
            float(np.mean(values("coverage"))),
            float(np.median(values("seconds"))),
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """What `COLUMNS` name, as text."""
        splits = f"{self.splits} ({self.failures} failed)" if self.failures else str(self.splits)
        nll = f"{self.nll.mean:.3f}{self.error(' ± ')}"
        return self.data, self.peer, splits, nll, f"{self.coverage:.3f}", f"{self.seconds:.1f}"

    def error(self, sign: str) -> str:
        """Return the standard error of the NLL after its sign; nothing where one split is all."""
        error = self.nll.standard_error
        return "" if np.isnan(error) else f"{sign}{error:.3f}"


def run(folder: Path, peers: Sequence[str], splits: int, only: Sequence[str]) -> None:
    """Fit, split by split, so that an interrupted run has something of every table."""
    if not data.UCI.is_dir():
        report.say(f"skipped {NAME}: no data at {data.UCI}")
        return
    machine = report.machine()
    fits = folder / "fits"
    fits.mkdir(parents=True, exist_ok=True)
    present = tuple(accuracy.installed(tuple(peers), REGRESSORS, "bench-ngboost"))
    measure = partial(accuracy.measured, module="benchmarks.uci_fit")
    for split in range(splits):
        for name in only:
            for peer in present:
                task = Task(NAME, name, peer, split)
                report.say(_line(accuracy.record(task, fits, machine, measure)))
    records = kept(fits, machine)
    if not records:
        report.say(f"nothing measured of {NAME}")
        return
    report.write(NAME, records, folder)
    show(records)
    report.say(f"{NAME}.json written to {folder}")


def kept(fits: Path, machine: dict[str, Any]) -> Records:
    """Return all records from this machine, whatever was installed beside the fits."""
    files = [json.loads(path.read_text()) for path in fits.glob(f"{NAME}.*.json")]
    records = [one["record"] for one in files if _hardware(one["machine"]) == _hardware(machine)]
    tables, peers = list(NLL_TARGETS), list(REGRESSORS)

    def place(record: dict[str, Any]) -> tuple[int, int, int]:
        return tables.index(record["data"]), peers.index(record["peer"]), record["seed"]

    return sorted(records, key=place)


def _hardware(machine: dict[str, Any]) -> tuple[Any, Any]:
    return machine["processor"], machine["cores"]


def _line(record: dict[str, Any]) -> str:
    what = f"{record['data']}, split {record['seed']}, {record['peer']}"
    if record["status"] != FITTED:
        return f"{what:32s} {record['status']}: {record['message']}"
    return (
        f"{what:32s} NLL {record['nll']:.4f}  coverage {record['coverage']:.3f}  "
        f"{record['seconds']:.1f} s  {record['chosen'] or ''}"
    )


def rows(records: Records) -> list[Row]:
    """Return the table: every peer on every data set."""
    cells: dict[tuple[str, str], Records] = {}
    for record in records:
        cells.setdefault((record["data"], record["peer"]), []).append(record)
    return [Row.of(found) for found in cells.values()]


def figures(records: Records) -> Iterator[Figure]:
    """Yield what was asked of brenier's figures, beside what was measured."""
    ours = [row for row in rows(records) if row.peer == BRENIER]
    for row in ours:
        detail = f"{row.splits} splits{row.error(', +- ')}"
        yield Figure(f"{row.data}: test NLL", row.nll.mean, NLL_TARGETS[row.data], detail)
        least, most = COVERAGE_TARGETS
        yield Figure(f"{row.data}: coverage of 90 %", row.coverage, least, least=True)
        yield Figure(f"{row.data}: coverage of 90 %", row.coverage, most)
    both = {row.data: _on_same_splits(records, row.data) for row in ours}
    both = {name: pair for name, pair in both.items() if pair is not None}
    if both:
        better = [name for name, (own, rival) in both.items() if own < rival]
        what = f"tables of {len(both)} with a test NLL below NGBoost's"
        detail = ", ".join(f"{name} {o:.3f} to {r:.3f}" for name, (o, r) in both.items())
        yield Figure(what, len(better), LEAST_BETTER, f"same splits: {detail}", least=True)


def _on_same_splits(records: Records, name: str) -> tuple[float, float] | None:
    """Return brenier's and the rival's mean test NLL on the splits of a table that both fitted."""
    own, rival = (
        {
            one["seed"]: one["nll"]
            for one in records
            if (one["data"], one["peer"], one["status"]) == (name, peer, FITTED)
        }
        for peer in (BRENIER, RIVAL)
    )
    splits = sorted(own.keys() & rival.keys())
    if not splits:
        return None
    return float(np.mean([own[k] for k in splits])), float(np.mean([rival[k] for k in splits]))


def show(records: Records) -> None:
    """Print the table and the figures that have a target."""
    table = Table(*COLUMNS, title="UCI tables: density of the target given the features")
    for row in rows(records):
        table.add_row(*row.cells)
    Console(width=WIDTH).print(table)
    for figure in figures(records):
        report.say(str(figure))


def markdown(records: Records) -> list[str]:
    """Return the lines of a section of the documentation's page of figures."""
    return [
        "## UCI tables",
        "",
        DESCRIPTION,
        "",
        *(f"- **{name}**: {peer.treatment}" for name, peer in REGRESSORS.items()),
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
        *(f"| {' | '.join(row.cells)} |" for row in rows(records)),
        "",
        *(f"{peer}: {_versions(found)}." for peer, found in _by_peer(records).items()),
    ]


def _by_peer(records: Records) -> dict[str, Records]:
    peers: dict[str, Records] = {}
    for record in records:
        peers.setdefault(record["peer"], []).append(record)
    return peers


def _versions(records: Records) -> str:
    said = [one["versions"] for one in records if "versions" in one]
    pairs = dict.fromkeys(f"{name} {version}" for one in said for name, version in one.items())
    return ", ".join(pairs)


def main() -> None:
    """Measure what is asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(REGRESSORS), default=list(REGRESSORS))
    parser.add_argument("--splits", type=int, default=SPLITS, help="how many of the 20")
    parser.add_argument("--only", nargs="+", choices=list(NLL_TARGETS), default=list(NLL_TARGETS))
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS, metavar="FOLDER")
    arguments = parser.parse_args()
    report.say(" ".join(f"{key}={value}" for key, value in report.machine().items()))
    run(arguments.output, arguments.peers, arguments.splits, arguments.only)


if __name__ == "__main__":
    main()
