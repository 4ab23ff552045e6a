"""Parquet and Arrow (Feather) files: columns of numbers or booleans, with names."""

# polars is imported inside the functions: see `brenier.io.table`.

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from brenier.io.base import Table, TableError, counted, damaged, first_few
from brenier.io.chains import roles_of
from brenier.io.columns import Columns, as_table, choose
from brenier.io.frame import put_values
from brenier.io.source import AbstractSource

if TYPE_CHECKING:
    import polars as pl

PARQUET = b"PAR1"
ARROW = b"ARROW1"
KIND = "a Parquet table"
# So many are read together, which are in memory twice for a while. Other programs write groups of
# 2^20 rows, which are unpacked whole.
ROWS, COLUMNS = 1 << 20, 4


def decode_parquet(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a Parquet file."""
    return _table(scan_parquet(source), columns)


def scan_parquet(source: AbstractSource) -> "Scanned":
    """Return a Parquet file with its schema read."""
    import polars as pl

    _check_ends(source)
    return Scanned.of(source, KIND, pl.scan_parquet)


def _check_ends(source: AbstractSource) -> None:
    if source.is_long and not source.last.endswith(PARQUET):
        raise damaged(KIND, source.where, ValueError("its ends are not those of Parquet"))


def decode_arrow(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in an Arrow file, as Feather files are of version 2."""
    import polars as pl

    kind = "an Arrow table"
    if source.is_long and not source.last.endswith(ARROW):
        raise damaged(kind, source.where, ValueError("its ends are not those of Arrow"))
    return _table(Scanned.of(source, kind, pl.scan_ipc), columns)


def decode_arrow_stream(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a stream of Arrow."""
    import polars as pl

    def scan(content: Any, **_: Any) -> "pl.LazyFrame":
        return pl.read_ipc_stream(content).lazy()

    return _table(Scanned.of(source, "a stream of Arrow", scan), columns)


def _table(scanned: "Scanned", columns: Columns) -> Table:
    """Return the chosen columns of a file."""
    if not scanned.rows:
        raise TableError(
            f"Expected rows of numbers in {scanned.where}; got 0 rows and "
            f"{counted(len(scanned.schema), 'column')}. Give a file with data."
        )
    chosen = choose(scanned.names, columns, scanned.where, roles_of(scanned.names))
    values = np.empty((scanned.rows, len(chosen.places)))
    scanned.put([scanned.names[j] for j in chosen.places], values)
    return as_table(chosen, values, columns, scanned.where)


@dataclass(frozen=True)
class Scanned:
    """A file whose schema has been read, and whose data have not.

    Attributes
    ----------
    where : str
        How messages name it.
    kind : str
        What it is expected to be.
    lazy : pl.LazyFrame
        Its columns.
    schema : dict
        Their names and types.
    rows : int
        Its rows; 0 of a file without columns.
    """

    where: str
    kind: str
    lazy: "pl.LazyFrame"
    schema: "dict[str, pl.DataType]"
    rows: int

    @staticmethod
    def of(source: AbstractSource, kind: str, scan: "Callable[..., pl.LazyFrame]") -> "Scanned":
        """Return a file with its schema and number of rows."""
        import polars as pl

        content = source.path or io.BytesIO(source.read())
        with _reading(kind, source.where):
            # A path is that of a file, whatever characters it has.
            lazy = scan(content, glob=False)
            schema = dict(lazy.collect_schema())
            rows = lazy.select(pl.len()).collect().item() if schema else 0
        return Scanned(source.where, kind, lazy, schema, rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(self.schema)

    def put(self, names: Sequence[str], values: np.ndarray, first: int = 0) -> None:
        """Write the columns of these names, from row `first` on, into the rows of an array."""
        _check_types({name: self.schema[name] for name in names}, self.where)
        with _reading(self.kind, self.where):
            for start, j in product(range(0, len(values), ROWS), range(0, len(names), COLUMNS)):
                there = values[start : start + ROWS, j : j + COLUMNS]
                part = self.lazy.select(names[j : j + COLUMNS]).slice(first + start, len(there))
                # Not kept while the next one is read.
                put_values(part.collect(), there)


@contextmanager
def _reading(kind: str, where: str) -> Iterator[None]:
    """Turn what polars says of a file that it cannot read into a `TableError`."""
    import polars as pl

    try:
        yield
    except TableError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise damaged(kind, where, error) from error


def _check_types(schema: "dict[str, pl.DataType]", where: str) -> None:
    """Raise `TableError` if columns are neither numbers nor booleans."""
    import polars as pl

    accepted = (pl.Boolean(), pl.Null())
    other = [
        f"column {name!r} of {dtype}"
        for name, dtype in schema.items()
        if not dtype.is_numeric() and dtype not in accepted
    ]
    if other:
        raise TableError(
            f"Expected columns of numbers in {where}; got {first_few(other, len(other))}. Leave "
            "them out with --drop, or code them as numbers."
        )
