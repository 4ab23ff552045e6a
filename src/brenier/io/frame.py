"""Tables as polars data frames, through which text and Parquet files are read and written."""

# polars is imported inside the functions: see `brenier.io.table`.

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from brenier.io.base import Table

if TYPE_CHECKING:
    import polars as pl


def to_frame(table: Table) -> "pl.DataFrame":
    """Return a table of named columns as a data frame."""
    import polars as pl

    return pl.from_numpy(table.values, schema=list(table.columns or ()))


def values_of(columns: "Sequence[pl.Series]") -> np.ndarray:
    """Return columns of numbers, booleans and nulls as float64 in C order."""
    values = np.empty((len(columns[0]), len(columns)))
    put_values(columns, values)
    return values


def put_values(columns: "Iterable[pl.Series]", values: np.ndarray) -> None:
    """Write columns of numbers, booleans and nulls into those of an array."""
    import polars as pl

    # Column by column: the numbers of one are there without a copy.
    for j, column in enumerate(columns):
        values[:, j] = column.cast(pl.Float64).to_numpy()
