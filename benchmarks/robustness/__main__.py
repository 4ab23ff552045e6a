"""Count what goes wrong: `python -m benchmarks.robustness`, from the repository's root.

`--only` names rows; what is not counted now stays as it was.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.robustness.rows import ROWS
from benchmarks.robustness.tally import lines

FILE = report.RESULTS / "robustness.json"


def count(name: str, cases: int | None) -> dict[str, Any]:
    """Make a row's cases, and return how they ended."""
    row, before = ROWS[name], time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tally = row.run(row.cases if cases is None else cases, Path(folder))
    for words in tally.described:
        report.say(f"{name}: {words}")
    seconds = round(time.perf_counter() - before, 1)
    return {**tally.to_dict(), "seconds": seconds, "machine": report.here()}


def main() -> None:
    """Count the rows that are asked for, all by default, and print the whole table."""
    parser = argparse.ArgumentParser(prog="benchmarks.robustness", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--cases", type=int, help="how many (default: each row's own number)")
    parser.add_argument("--table", action="store_true", help="count nothing, print the table")
    parser.add_argument("-o", "--output", type=Path, default=FILE, metavar="FILE")
    arguments = parser.parse_args()
    kept = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for name in [] if arguments.table else arguments.only:
        kept[name] = count(name, arguments.cases)
        arguments.output.write_text(json.dumps(kept, indent=1) + "\n")
    for line in lines({name: kept[name] for name in ROWS if name in kept}):
        report.say(line)


if __name__ == "__main__":
    main()
