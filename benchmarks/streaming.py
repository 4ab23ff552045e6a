"""Seconds and memory of tables that fit in no memory: `python -m benchmarks.streaming`.

The commands `brenier fit`, `score` and `transform` of 1e6 and of 1e7 rows of six columns, in eight
Parquet files: whole processes, one after the other, and the peak of each one's memory. The files,
some 0.5 GB, lie in a temporary folder (see TMPDIR) as long as this runs.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks import report
from benchmarks.large import Networks
from benchmarks.report import Figure

NAME = "streaming"
FEW, MANY, FILES, COLUMNS = 10**6, 10**7, 8, 6
# A fit of many rows may take so many times that of a tenth of them, a score so many; GB.
MOST_FIT, MOST_SCORE, MOST_MEMORY = 1.5, 11.0, 2.0


def write_rows(folder: Path, n_rows: int) -> None:
    """Write rows into as many files as there are to be."""
    folder.mkdir()
    names = [f"x{k}" for k in range(COLUMNS)]
    for k in range(FILES):
        rows = Networks(COLUMNS).draw(n_rows // FILES, seed=k)
        pl.from_numpy(rows, schema=names).write_parquet(folder / f"part{k}.parquet")


def cost(*arguments: str | Path) -> tuple[float, float]:
    """Return the seconds of a command and the peak of its memory (GB)."""
    since = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "brenier", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{arguments} ended with {status}")
    return time.perf_counter() - since, used.ru_maxrss / 2**20


def measured(folder: Path) -> Iterator[Figure]:
    """Yield all figures."""
    sizes = {"1e6": FEW, "1e7": MANY}
    for name, n_rows in sizes.items():
        write_rows(folder / name, n_rows)
    model = folder / "model.brenier"
    # Programs are compiled and kept.
    cost("fit", folder / "1e6", "-o", model)
    commands = {
        "fit": lambda rows: ("fit", rows, "-o", folder / "again.brenier"),
        "score": lambda rows: ("score", model, rows),
        "transform": lambda rows: ("transform", model, rows, "-o", folder / "z.parquet"),
    }
    most = {"fit": MOST_FIT, "score": MOST_SCORE}
    for command, arguments in commands.items():
        costs = {name: cost(*arguments(folder / name)) for name in sizes}
        for name, (seconds, memory) in costs.items():
            yield Figure(f"{command} of {name} rows: seconds", seconds)
            yield Figure(f"{command} of {name} rows: GB", memory, MOST_MEMORY)
        ratio = costs["1e7"][0] / costs["1e6"][0]
        yield Figure(f"{command}: 1e7 rows take so many times 1e6", ratio, most.get(command))


def main() -> None:
    """Measure, print and store."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    with TemporaryDirectory() as made:
        report.measure(NAME, {NAME: lambda: measured(Path(made))})


if __name__ == "__main__":
    main()
