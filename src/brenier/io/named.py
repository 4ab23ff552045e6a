"""Named arrays of one dimension, such as the fields of a structured array, as a table."""

from collections.abc import Mapping

import numpy as np

from brenier.io.base import Table, TableError, counted, first_few
from brenier.io.chains import roles_of
from brenier.io.columns import Columns, as_table, choose


def table_of_arrays(arrays: Mapping[str, np.ndarray], columns: Columns, where: str) -> Table:
    """Return the chosen arrays as columns; masked values are missing.

    Raises
    ------
    TableError
        If one of these is no column of numbers, or if they differ in length.
    """
    names = tuple(arrays)
    chosen = choose(names, columns, where, roles_of(names))
    parts = {name: arrays[names[j]] for j, name in zip(chosen.places, chosen.names, strict=True)}
    other = [
        f"column {name!r} of {_kind(part)}"
        for name, part in parts.items()
        if part.ndim != 1 or part.dtype.kind not in "biuf"
    ]
    if other:
        raise TableError(
            f"Expected columns of numbers in {where}; got {first_few(other, len(other))}. Leave "
            "them out with --drop, or code them as numbers."
        )
    lengths = [f"{counted(len(part), 'row')} in {name!r}" for name, part in parts.items()]
    if len({len(part) for part in parts.values()}) > 1:
        raise TableError(
            f"Expected columns of one table in {where}; got arrays of different lengths: "
            f"{first_few(lengths, len(lengths))}. Choose those of one with --columns."
        )
    values = np.empty((len(next(iter(parts.values()))), len(parts)))
    if values.size == 0:
        raise TableError(f"Expected rows of numbers in {where}; got none. Give a file with data.")
    for j, part in enumerate(parts.values()):
        filled = np.ma.filled(part.astype(float), np.nan) if np.ma.isMA(part) else part
        values[:, j] = filled
    return as_table(chosen, values, columns, where)


def _kind(array: np.ndarray) -> str:
    shape = f" and shape {array.shape}" if array.ndim != 1 else ""
    return f"dtype {array.dtype}{shape}"
