"""NPZ files: named arrays of one dimension as columns, or one of two."""

import numpy as np

from brenier.io.base import Table, TableError, first_few
from brenier.io.columns import Columns, choose
from brenier.io.compressed import npz_members
from brenier.io.named import table_of_arrays
from brenier.io.npy import array_of, decode_npy, unnamed_table
from brenier.io.source import AbstractSource


def decode_npz(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in an NPZ file; the arrays that are not chosen are not looked at."""
    members = npz_members(source)
    if len(members) == 1:
        (member,) = members.values()
        return _alone(array_of(member), next(iter(members)), columns, member)
    names = tuple(members)
    chosen = choose(names, columns, source.where).names
    arrays = {name: array_of(members[name]) for name in chosen}
    tables = [name for name, array in arrays.items() if array.ndim > 1]
    if len(arrays) == 1 and tables:
        return unnamed_table(arrays[tables[0]], Columns(), members[tables[0]].where)
    if tables:
        shapes = [f"{name!r} of shape {array.shape}" for name, array in arrays.items()]
        raise TableError(
            f"Expected columns of one dimension, or one array of two, in {source.where}; got "
            f"several tables: {first_few(shapes, len(shapes))}. Choose one with --columns."
        )
    return table_of_arrays(arrays, Columns(), source.where)


def _alone(array: np.ndarray, name: str, columns: Columns, member: AbstractSource) -> Table:
    """Return the only array of a file: a column with its name where it has one dimension."""
    if array.ndim == 1 and array.dtype.names is None:
        return table_of_arrays({name: array}, columns, member.where)
    return decode_npy(member, columns)
