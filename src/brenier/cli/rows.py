"""Rows of a data file in a model's columns, with weights if it has any."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from brenier.cli.files import Reading, display_name, enough_of, in_order

if TYPE_CHECKING:
    import numpy as np

    from brenier.cli.weights import WeightsColumn


def weighted_rows(
    path: str, names: list[str], column: "WeightsColumn", reading: Reading
) -> "tuple[np.ndarray, np.ndarray | None]":
    """Return the rows of a data file, in the model's columns, and their weights if it has any."""
    table, weights = column.read(path, reading, own_chains=False, enough=enough_of(names))
    reading.say([path], table.notes)
    X = in_order(table, names, path, quiet=reading.quiet)
    if weights is not None and not (weights > 0).any():
        raise no_weight(path)
    return X, weights


def weighted_pieces(
    path: str, names: list[str], column: "WeightsColumn", reading: Reading
) -> "Iterator[tuple[np.ndarray, np.ndarray | None]]":
    """Yield the same in pieces, of files that can be read so."""
    quiet = reading.quiet
    for table, weights in column.pieces(path, reading, enough=enough_of(names)):
        yield in_order(table, names, path, quiet=quiet), weights
        # Said of the first.
        quiet = True


def no_weight(path: str) -> ValueError:
    """Return the error for a file whose rows have all weight zero."""
    return ValueError(
        f"Expected a positive weight in {display_name(path)}; got zero for every row."
    )
