"""How quickly and in how much memory tables are read: `python -m benchmarks.reading`.

Some columns of large files, as `brenier fit` reads them, against polars' own reading of these
columns to an array. Every reading has a process of its own, the two alternate, and each ratio of
seconds is that of a pair. Memory is the peak of a process less that of one that imports the same
and reads a small file only, in units of the columns' own size. Ratios are medians over
repetitions; they are put into `benchmarks/results/reading.json`.

The files, some 1.4 GB, lie in a temporary folder (see TMPDIR) as long as this runs.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks import memory, report
from benchmarks.report import Figure, Part
from brenier.cli.files import Reading
from brenier.cli.inputs import read_inputs
from brenier.cli.weights import WeightsColumn

# At most so many times polars' seconds, and times the columns' size.
MOST_TIME, MOST_MEMORY = 1.3, 2.0
REPETITIONS, SEED = 7, 0
# Rows and columns that give 200 MB of text and 1 GB of Parquet; rows of its groups and parts.
CSV_ROWS, CSV_FLOATS = 600_000, 17
PARQUET_COLUMNS, PARQUET_PARTS, PART_ROWS = 40, 8, 400_000
GROUP_ROWS = 1 << 20
MIB = 1 << 20
SMALL = "a,b\n1,2\n3,5\n"


@dataclass(frozen=True)
class File:
    """A file to read: what writes it, its name, and the columns that are read."""

    name: str
    write: Callable[[Path], None]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What a reading took, and the size of what came of it (MiB)."""

    seconds: float
    peak: float
    size: float


def write_csv(path: Path, *, quoted: bool, rows: int = CSV_ROWS) -> None:
    """Write 20 columns: a number of the row, two of text, of which one may be quoted, floats."""
    rng = np.random.default_rng(SEED)
    numbers = {f"x{j}": rng.normal(size=rows) for j in range(CSV_FLOATS)}
    names = np.array(["star", "galaxy", "quasar", "none"])[rng.integers(4, size=rows)]
    notes = np.array(["seen twice", "faint, red" if quoted else "faint"])[
        rng.integers(2, size=rows)
    ]
    text = {"id": np.arange(rows), "name": names, "note": notes}
    pl.DataFrame({**text, **numbers}).write_csv(path)


def write_parquet(path: Path, *, parts: int = PARQUET_PARTS, rows: int = PART_ROWS) -> None:
    """Write 40 columns of floats in groups of rows: so many times the same rows."""
    part = path.with_suffix(".part")
    values = np.random.default_rng(SEED).normal(size=(rows, PARQUET_COLUMNS))
    pl.from_numpy(values, schema=[f"x{j}" for j in range(PARQUET_COLUMNS)]).write_parquet(part)
    whole = pl.concat([pl.scan_parquet(part)] * parts, rechunk=False)
    whole.sink_parquet(path, row_group_size=GROUP_ROWS)
    part.unlink()


FILES = (
    File("plain.csv", partial(write_csv, quoted=False), ("x3", "x11")),
    File("quoted.csv", partial(write_csv, quoted=True), ("x3", "x11")),
    File("wide.parquet", write_parquet, ("x3", "x11", "x20", "x37")),
)


def ours(path: Path, columns: tuple[str, ...]) -> np.ndarray:
    """Return the columns as `brenier fit --columns` reads them."""
    reading = Reading(keep=columns, quiet=True)
    return read_inputs([str(path)], None, WeightsColumn(None, None), None, reading).values


def theirs(path: Path, columns: tuple[str, ...]) -> np.ndarray:
    """Return the columns as polars reads them."""
    read = pl.read_csv if path.suffix == ".csv" else pl.read_parquet
    return read(path, columns=list(columns)).cast(pl.Float64).to_numpy()


def nothing(path: Path, columns: tuple[str, ...]) -> np.ndarray:
    """Return no rows."""
    return np.empty((0, len(columns)))


READERS: Mapping[str, Callable[[Path, tuple[str, ...]], np.ndarray]] = {
    "ours": ours,
    "theirs": theirs,
    "nothing": nothing,
}


def cost(reader: str, path: Path, columns: tuple[str, ...], small: Path) -> Cost:
    """Return what a reading takes in this process, once all modules that it needs are there."""
    for read in (ours, theirs):
        read(small, ("a", "b"))
    start = time.perf_counter()
    values = READERS[reader](path, columns)
    seconds = time.perf_counter() - start
    return Cost(seconds, memory.peak_mib(), values.nbytes / MIB)


def cost_apart(reader: str, path: Path, columns: tuple[str, ...], small: Path) -> Cost:
    """Return what a reading takes in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(cost, reader, path, columns, small).result()


def measured(file: File, folder: Path, repetitions: int) -> Iterator[Figure]:
    """Yield the ratios of a file, which is there meanwhile."""
    path, small = folder / file.name, folder / "small.csv"
    small.write_text(SMALL)
    file.write(path)
    rounds = [
        {reader: cost_apart(reader, path, file.columns, small) for reader in READERS}
        for _ in range(repetitions)
    ]
    path.unlink()
    yield from figures(file.name, rounds)


def figures(name: str, rounds: list[dict[str, Cost]]) -> Iterator[Figure]:
    """Yield the medians of the ratios of all rounds."""
    ratio = median(one["ours"].seconds / one["theirs"].seconds for one in rounds)
    seconds = [median(one[who].seconds for one in rounds) for who in ("ours", "theirs")]
    detail = "{:.3f} s, polars {:.3f} s".format(*seconds)
    yield Figure(f"{name}: time, of polars'", ratio, MOST_TIME, detail)
    used = {
        who: median((one[who].peak - one["nothing"].peak) / one[who].size for one in rounds)
        for who in ("ours", "theirs")
    }
    detail = f"of {rounds[0]['ours'].size:.0f} MiB, polars {used['theirs']:.2f}"
    yield Figure(f"{name}: memory, of the columns", used["ours"], MOST_MEMORY, detail)


def main() -> None:
    """Measure all files, print and store the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [file.name for file in FILES]
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        parts: dict[str, Part] = {
            file.name: partial(measured, file, Path(folder), arguments.repetitions)
            for file in FILES
            if file.name in arguments.only
        }
        report.measure("reading", parts)


if __name__ == "__main__":
    main()
