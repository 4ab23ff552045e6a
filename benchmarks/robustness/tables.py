"""Data files altered at random, of every format: a table comes out, or a `TableError`."""

import gzip
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.robustness.alter import altered_bytes
from brenier.io.table import TableError, read_table, write_table

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npy", ".parquet")
# Rows of a table: few, and so many that a file's ends are looked at before the rest.
FEW, MANY = 20, 3000
NAMES = ["mass", 'a name, with "signs"', "ü"]


def one(case: int, rng: np.random.Generator, folder: Path) -> str:
    """Alter a file, read it, and return how that ends."""
    suffix = SUFFIXES[case % len(SUFFIXES)]
    blob = _original(suffix, MANY if rng.integers(20) == 0 else FEW)
    path = folder / f"altered{suffix}"
    path.write_bytes(_altered(blob, suffix, rng))
    try:
        table = read_table(path, allow_missing=bool(rng.integers(2)))
    except TableError:
        return "refused"
    N, n = table.values.shape
    if not (N and n and table.values.dtype == np.float64):
        raise ValueError(f"It is no table: {table.values.shape}, {table.values.dtype}.")
    if table.columns is not None and len(set(table.columns)) != n:
        raise ValueError(f"Its columns are not different: {table.columns}.")
    return "worked"


@cache
def _original(suffix: str, n_rows: int) -> bytes:
    """Return the bytes of a table."""
    rows = np.random.default_rng(0).normal(size=(n_rows, len(NAMES)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        write_table(path, rows, NAMES)
        return path.read_bytes()


def _altered(blob: bytes, suffix: str, rng: np.random.Generator) -> bytes:
    """Return altered bytes; of a gzip file half of the time what is in it is altered."""
    if suffix.endswith(".gz") and rng.integers(2):
        return gzip.compress(altered_bytes(gzip.decompress(blob), rng), compresslevel=1)
    for _ in range(rng.integers(1, 4)):
        blob = altered_bytes(blob, rng)
    return blob
