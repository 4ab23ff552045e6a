"""Parquet and Arrow (Feather) files: columns of numbers or booleans, with names."""

# polars is imported inside the functions: see `brenier.io.table`.

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brenier.io.base import Table, TableError, counted, damaged, first_few
from brenier.io.chains import roles_of
from brenier.io.columns import Columns, as_table, choose
from brenier.io.frame import frame_values, to_frame
from brenier.io.source import AbstractSource

if TYPE_CHECKING:
    import polars as pl

PARQUET = b"PAR1"
ARROW = b"ARROW1"


def decode_parquet(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a Parquet file."""
    import polars as pl

    kind = "a Parquet table"
    if source.is_long and not source.last.endswith(PARQUET):
        raise damaged(kind, source.where, ValueError("its ends are not those of Parquet"))

    def read(content: Any, chosen: list[str]) -> "pl.DataFrame":
        return pl.read_parquet(content, columns=chosen, **_no_pattern(content))

    return _decode(source, columns, kind, pl.read_parquet_schema, read)


def decode_arrow(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in an Arrow file, as Feather files are of version 2."""
    import polars as pl

    kind = "an Arrow table"
    if source.is_long and not source.last.endswith(ARROW):
        raise damaged(kind, source.where, ValueError("its ends are not those of Arrow"))

    def read(content: Any, chosen: list[str]) -> "pl.DataFrame":
        return pl.read_ipc(content, columns=chosen, **_no_pattern(content))

    return _decode(source, columns, kind, pl.read_ipc_schema, read)


def decode_arrow_stream(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a stream of Arrow."""
    import polars as pl

    def schema(content: Any) -> Any:
        return pl.read_ipc_stream(content).schema

    def read(content: Any, chosen: list[str]) -> "pl.DataFrame":
        return pl.read_ipc_stream(content, columns=chosen)

    return _decode(source, columns, "a stream of Arrow", schema, read)


def _no_pattern(content: Any) -> dict[str, Any]:
    """Return what keeps polars from taking a file's name for a pattern."""
    return {"glob": False} if isinstance(content, Path) else {}


def _decode(
    source: AbstractSource,
    columns: Columns,
    kind: str,
    read_schema: Callable[[Any], Any],
    read: Callable[[Any, list[str]], "pl.DataFrame"],
) -> Table:
    """Return the chosen columns of a file whose schema stands apart from its data."""
    import polars as pl

    where = source.where
    failures = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
    data = None if source.path is not None else source.read()

    def content() -> Any:
        return source.path if data is None else io.BytesIO(data)

    try:
        schema = dict(read_schema(content()))
    except failures as error:
        raise damaged(kind, where, error) from error
    if not schema:
        raise TableError(
            f"Expected rows of numbers in {where}; got 0 rows and 0 columns. Give a file with data."
        )
    chosen = choose(tuple(schema), columns, where, roles_of(tuple(schema)))
    names = [list(schema)[j] for j in chosen.places]
    _check_types({name: schema[name] for name in names}, where)
    try:
        frame = read(content(), names).select(names)
    except failures as error:
        raise damaged(kind, where, error) from error
    if not frame.height:
        raise TableError(
            f"Expected rows of numbers in {where}; got 0 rows and "
            f"{counted(frame.width, 'column')}. Give a file with data."
        )
    return as_table(chosen, frame_values(frame), columns, where)


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
