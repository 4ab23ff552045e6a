"""Measure brenier's speed beside its targets: `python -m benchmarks.speed`.

Every repetition is kept at once, so that a long run can be made in pieces: `--only` names rows, or
patterns of them, and what is not measured now stays as it was.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.speed import results, table
from benchmarks.speed.measurements import CannotMeasure, Place
from benchmarks.speed.process import FailedProcess, compile_modules
from benchmarks.speed.rows import MEASUREMENTS, Measurement, all_rows

REPETITIONS = 5


def chosen(patterns: Sequence[str]) -> list[Measurement]:
    """Return the measurements of rows that match any of the patterns; all where there are none."""
    unknown = [p for p in patterns if not any(fnmatchcase(row.name, p) for row in all_rows())]
    if unknown:
        names = ", ".join(row.name for row in all_rows())
        raise SystemExit(f"Expected rows among {names}; got {', '.join(unknown)}.")
    return [
        measurement
        for measurement in MEASUREMENTS
        if not patterns
        or any(fnmatchcase(row.name, p) for row in measurement.rows for p in patterns)
    ]


def measure(measurement: Measurement, repetitions: int, file: Path, *, append: bool) -> None:
    """Measure so many times, and keep every repetition when it is there."""
    where = report.here()
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        for k in range(repetitions):
            new = Path(folder) / str(k)
            new.mkdir()
            load = [round(value, 2) for value in os.getloadavg()]
            try:
                found: Mapping[str, Mapping[str, Any]] = measurement.measure(Place(new, shared))
            except CannotMeasure as reason:
                report.say(f"skipped {measurement.name}: {reason}")
                return
            except FailedProcess as error:
                found = {row.name: {"failed": str(error)} for row in measurement.rows}
            _keep(measurement, found, load, where, file, anew=k == 0 and not append)


def _keep(
    measurement: Measurement,
    found: Mapping[str, Mapping[str, Any]],
    load: list[float],
    where: dict[str, Any],
    file: Path,
    *,
    anew: bool,
) -> None:
    """Write one repetition's figures into the file, and print them."""
    kept = results.read(file)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    for row in measurement.rows:
        repetition = {**found[row.name], "load": load, "at": at}
        old = None if anew else kept.get(row.name)
        kept[row.name] = results.with_repetition(old, row, repetition, where)
        said = repetition.get("value", repetition.get("failed"))
        report.say(f"{row.name}: {said} {row.unit}, load {load[0]}")
    results.write(kept, file)


def main() -> None:
    """Measure the rows that are asked for, all by default, and print the whole table."""
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ROW", help="rows, or patterns such as 'fit-*'"
    )
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--append", action="store_true", help="keep these rows' repetitions")
    parser.add_argument("--table", action="store_true", help="measure nothing, print the table")
    parser.add_argument("-o", "--output", type=Path, default=results.FILE, metavar="FILE")
    arguments = parser.parse_args()
    wanted = [] if arguments.table else chosen(arguments.only)
    if wanted:
        compile_modules()
    for measurement in wanted:
        measure(measurement, arguments.repetitions, arguments.output, append=arguments.append)
    for line in table.lines(all_rows(), results.read(arguments.output)):
        report.say(line)


if __name__ == "__main__":
    main()
