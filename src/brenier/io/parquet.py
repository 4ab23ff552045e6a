"""Parquet and Arrow (Feather) files: columns of numbers or booleans, with names."""

# polars is imported inside the functions: see `brenier.io.table`.

import io
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from brenier.io.base import Table, TableError, counted, damaged, first_few
from brenier.io.chains import roles_of
from brenier.io.columns import Columns, as_table, choose
from brenier.io.frame import put_values, to_frame
from brenier.io.source import AbstractSource

if TYPE_CHECKING:
    import polars as pl

PARQUET = b"PAR1"
ARROW = b"ARROW1"
# So many are read together, which are in memory twice for a while. Other programs write groups of
# 2^20 rows, which are unpacked whole.
ROWS, COLUMNS = 1 << 20, 4


def decode_parquet(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a Parquet file."""
    import polars as pl

    kind = "a Parquet table"
    if source.is_long and not source.last.endswith(PARQUET):
        raise damaged(kind, source.where, ValueError("its ends are not those of Parquet"))
    return _decode(source, columns, kind, pl.scan_parquet)


def decode_arrow(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in an Arrow file, as Feather files are of version 2."""
    import polars as pl

    kind = "an Arrow table"
    if source.is_long and not source.last.endswith(ARROW):
        raise damaged(kind, source.where, ValueError("its ends are not those of Arrow"))
    return _decode(source, columns, kind, pl.scan_ipc)


def decode_arrow_stream(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a stream of Arrow."""
    import polars as pl

    def scan(content: Any, **_: Any) -> "pl.LazyFrame":
        return pl.read_ipc_stream(content).lazy()

    return _decode(source, columns, "a stream of Arrow", scan)


def _decode(
    source: AbstractSource, columns: Columns, kind: str, scan: "Callable[..., pl.LazyFrame]"
) -> Table:
    """Return the chosen columns of a file whose schema stands apart from its data."""
    import polars as pl

    where = source.where
    failures = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
    content = source.path or io.BytesIO(source.read())
    try:
        # A path is that of a file, whatever characters it has.
        lazy = scan(content, glob=False)
        schema = dict(lazy.collect_schema())
        rows = lazy.select(pl.len()).collect().item() if schema else 0
    except failures as error:
        raise damaged(kind, where, error) from error
    if not rows:
        raise TableError(
            f"Expected rows of numbers in {where}; got 0 rows and "
            f"{counted(len(schema), 'column')}. Give a file with data."
        )
    chosen = choose(tuple(schema), columns, where, roles_of(tuple(schema)))
    names = [list(schema)[j] for j in chosen.places]
    _check_types({name: schema[name] for name in names}, where)
    try:
        values = np.empty((rows, len(names)))
        for start, j in product(range(0, rows, ROWS), range(0, len(names), COLUMNS)):
            part = lazy.select(names[j : j + COLUMNS]).slice(start, ROWS)
            # Not kept while the next one is read.
            put_values(part.collect(), values[start : start + ROWS, j : j + COLUMNS])
    except failures as error:
        raise damaged(kind, where, error) from error
    return as_table(chosen, values, columns, where)


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


def encode_parquet(table: Table, where: str) -> bytes:
    """Return the bytes of a Parquet file with a table."""
    stream = io.BytesIO()
    to_frame(table).write_parquet(stream)
    return stream.getvalue()
