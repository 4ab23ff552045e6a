"""Parquet files: columns of numbers or booleans, with names."""

# polars is imported inside the functions: see `brenier.io.table`.

import io

from brenier.io.base import Table, TableError, check_names, counted, damaged, first_few
from brenier.io.frame import frame_values, to_frame


def decode_parquet(data: bytes, where: str) -> Table:
    """Return the table in the bytes of a Parquet file."""
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise damaged("a Parquet table", where, error) from error
    if 0 in frame.shape:
        raise TableError(
            f"Expected rows of numbers in {where}; got {counted(frame.height, 'row')} and "
            f"{counted(frame.width, 'column')}. Give a file with data."
        )
    accepted = (pl.Boolean(), pl.Null())
    other = [
        f"column {name!r} of {dtype}"
        for name, dtype in frame.schema.items()
        if not dtype.is_numeric() and dtype not in accepted
    ]
    if other:
        raise TableError(
            f"Expected columns of numbers in {where}; got {first_few(other, len(other))}. Remove "
            "them or code them as numbers."
        )
    check_names(frame.columns, where)
    return Table(tuple(frame.columns), frame_values(frame))


def encode_parquet(table: Table, where: str) -> bytes:
    """Return the bytes of a Parquet file with a table."""
    stream = io.BytesIO()
    to_frame(table).write_parquet(stream)
    return stream.getvalue()
