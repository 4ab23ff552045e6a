"""The accuracy suites: every peer on the same rows, each fit in a process of its own.

A finished fit is one file in FOLDER/fits, so that an interrupted run goes on where it was; delete
them to measure anew, above all after a change of the code. A fit from another machine or other
versions is measured anew by itself. The table is of all fits kept in the folder, whichever of them
this run was asked for.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import chart, data, differences, report, summary
from benchmarks.fit import FITTED, Task
from benchmarks.peers import PEERS, Peer
from benchmarks.suites import Suite

ROOT = Path(__file__).parents[1]
# Seconds after which a fit is given up.
LIMIT = 1800.0
FAILED = "failed"

Measure = Callable[[Task], dict[str, Any]]
"""Fits and returns the record."""


@dataclass(frozen=True)
class Choice:
    """What to measure of a suite; empty or None for all of it."""

    peers: tuple[str, ...] = ()
    seeds: int | None = None
    only: tuple[str, ...] = ()


def main_suite(suite: Suite, choice: Choice, folder: Path) -> None:
    """Measure a suite; print its tables; leave `suite.name`.json, and a .png, in the folder."""
    absent = [name for name, dataset in suite.datasets.items() if not dataset.present()]
    if absent:
        what = f"{suite.name}: {', '.join(absent)}"
        report.say(f"skipped {what}: no data at {data.SHARED}")
    if len(absent) == len(suite.datasets):
        return
    machine = report.machine()
    fits = folder / "fits"
    fits.mkdir(parents=True, exist_ok=True)
    for task in _tasks(suite, choice):
        report.say(_line(record(task, fits, machine, measured)))
    records = _kept_records(suite, fits, machine)
    if not records:
        report.say(f"nothing measured of {suite.name}")
        return
    report.write(suite.name, records, folder)
    summary.show(suite, records)
    if suite.costs:
        chart.draw(suite, records, folder / f"{suite.name}.png")
    else:
        differences.show(records)
    report.say(f"{suite.name} written to {folder}")


def _tasks(suite: Suite, choice: Choice) -> Iterator[Task]:
    """Yield the fits, seed by seed, so that an interrupted run has something of everything."""
    peers = tuple(installed(choice.peers or suite.peers or tuple(PEERS), PEERS, "bench"))
    for seed in range(choice.seeds or suite.seeds):
        for name, dataset in suite.datasets.items():
            if name in (choice.only or suite.datasets) and dataset.present():
                yield from (Task(suite.name, name, peer, seed) for peer in peers)


def installed(names: tuple[str, ...], peers: Mapping[str, Peer], extra: str) -> Iterator[str]:
    """Yield the peers that can be fitted here; say what the others lack."""
    for name in names:
        missing = peers[name].missing
        if missing:
            report.say(f"skipped {name}: install {' and '.join(missing)}, or brenier[{extra}]")
        else:
            yield name


def record(task: Task, fits: Path, machine: dict[str, Any], measure: Measure) -> dict[str, Any]:
    """Return the kept record of a fit, or fit and keep it; what failed is tried again."""
    path = _path(task, fits)
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["record"]["status"] != FAILED and _same(kept["machine"], machine):
            return kept["record"]
    new = measure(task)
    path.write_text(json.dumps({"machine": machine, "record": new}, indent=1) + "\n")
    return new


def _path(task: Task, fits: Path) -> Path:
    return fits / f"{'.'.join(map(str, asdict(task).values()))}.json"


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether figures from two machines compare; the system's name says nothing about that."""
    return {**one, "system": None} == {**other, "system": None}


def measured(task: Task, limit: float = LIMIT, module: str = "benchmarks.fit") -> dict[str, Any]:
    """Return the record that `module` leaves of a fit in a new process; a crash is a record too."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "record.json"
        command = [sys.executable, "-m", module, *map(str, asdict(task).values()), file]
        start = time.perf_counter()
        try:
            run = subprocess.run(
                command,
                cwd=ROOT,
                # Nothing compiled before: compilation counts.
                env={**os.environ, "BRENIER_CACHE": "off"},
                timeout=limit,
                capture_output=True,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _failure(task, limit, f"stopped after {limit:g} s")
        if file.exists():
            return json.loads(file.read_text())
        message = (run.stderr.strip().splitlines() or [f"ended with code {run.returncode}"])[-1]
        return _failure(task, time.perf_counter() - start, message)


def _failure(task: Task, seconds: float, message: str) -> dict[str, Any]:
    return {**asdict(task), "status": FAILED, "message": message, "seconds": seconds}


def _kept_records(suite: Suite, fits: Path, machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all records of a suite from this machine, in the order of data sets and peers."""
    kept = [json.loads(path.read_text()) for path in fits.glob(f"{suite.name}.*.json")]
    records = [one["record"] for one in kept if _same(one["machine"], machine)]
    datasets, peers = list(suite.datasets), list(PEERS)

    def place(record: dict[str, Any]) -> tuple[int, int, int]:
        return datasets.index(record["data"]), peers.index(record["peer"]), record["seed"]

    return sorted(records, key=place)


def _line(record: dict[str, Any]) -> str:
    what = f"{record['data']}, seed {record['seed']}, {record['peer']}"
    if record["status"] != FITTED:
        return f"{what:48s} {record['status']}: {record['message']}"
    gap = f"gap {record['gap']:.4f}  " if "gap" in record else ""
    outside = f"outside {record['outside']:.4f}  " if "outside" in record else ""
    return (
        f"{what:48s} NLL {record['nll']:.4f} +- {record['nll_error']:.4f}  {gap}{outside}"
        f"best at {record['best_at']:.1f} of {record['seconds']:.1f} s  "
        f"{record['peak_mib']:.0f} MiB  {record['chosen'] or ''}"
    )
