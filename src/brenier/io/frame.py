"""Tables as polars data frames, through which text and Parquet files are read and written."""

# polars is imported inside the functions: see `brenier.io.table`.

from typing import TYPE_CHECKING

import numpy as np

from brenier.io.base import Table

if TYPE_CHECKING:
    import polars as pl


def to_frame(table: Table) -> "pl.DataFrame":
    """Return a table of named columns as a data frame."""
    import polars as pl

    return pl.from_numpy(table.values, schema=list(table.columns or ()))


def frame_values(frame: "pl.DataFrame") -> np.ndarray:
    """Return a data frame of numbers, booleans and nulls as float64 in C order."""
    values = np.empty(frame.shape)
    put_values(frame, values)
    return values


def put_values(frame: "pl.DataFrame", values: np.ndarray) -> None:
    """Write a data frame of numbers, booleans and nulls into an array of its shape."""
    import polars as pl

    # Column by column: the numbers of one are there without a copy.
    for j, column in enumerate(frame):
        values[:, j] = column.cast(pl.Float64).to_numpy()
