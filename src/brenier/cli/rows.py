"""Rows of a data file in a model's columns, with weights if it has any."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from brenier.cli.files import Reading, display_name, enough_of, in_order
from brenier.cli.kept import Kept, used_rows

if TYPE_CHECKING:
    import numpy as np

    from brenier.cli.pieces import Pieces
    from brenier.cli.weights import WeightsColumn


def weighted_rows(
    path: str, names: Sequence[str], column: "WeightsColumn", reading: Reading
) -> "tuple[np.ndarray, np.ndarray | None]":
    """Return the rows of a data file, in the model's columns, and their weights if it has any."""
    kept = Kept(column, reading, own_chains=False)
    kept.read(path, enough=enough_of(names))
    reading.say([path], [*kept.files[0].notes, *kept.notes])
    X, weights = in_order(kept.table, names, path, quiet=reading.quiet), kept.weights
    if weights is not None and not (weights > 0).any():
        raise no_weight(path)
    return X, weights


def read_rows(path: str, names: Sequence[str], reading: Reading) -> "np.ndarray":
    """Return the rows of a data file with their columns in the order of `names`.

    Columns are put in order by name, and those that are not needed left out, which is said on
    standard error. Those of files without names, and of models without, are taken as they come.
    """
    from brenier.data.row_sample import RowSample
    from brenier.io.table import Table

    pieces, columns = reading.pieces(path, enough=enough_of(names)), None
    sample = RowSample(reading.most_rows)
    for table in pieces:
        columns = table.columns
        sample.add(table.values)
        # Not kept while the next one is read.
        del table
    reading.say([path], [*pieces.notes, *used_rows(sample)])
    return in_order(Table(columns, sample.kept[0]), names, path, quiet=reading.quiet)


def row_pieces(path: str, names: Sequence[str], reading: Reading) -> "Iterator[np.ndarray]":
    """Yield the same in pieces, all rows of them, of files that can be read so."""
    whole = replace(reading, most_rows=0)
    pieces, quiet = whole.pieces(path, enough=enough_of(names)), reading.quiet
    said: set[str] = set()
    for table in pieces:
        said = _say_more(reading, path, pieces, said)
        yield in_order(table, names, path, quiet=quiet)
        # Said of the first.
        quiet = True
        del table
    _say_more(reading, path, pieces, said)


def weighted_pieces(
    path: str, names: Sequence[str], column: "WeightsColumn", reading: Reading
) -> "Iterator[tuple[np.ndarray, np.ndarray | None, float]]":
    """Yield rows in pieces, their weights if they have any, and what those before are worth now.

    Weights whose logarithms are given are relative to the largest so far: where a larger one comes,
    the weights of the pieces before are to be multiplied by the last number, else 1.
    """
    import numpy as np

    whole = replace(reading, most_rows=0)
    pieces, quiet = column.pieces(path, whole, enough=enough_of(names)), reading.quiet
    said: set[str] = set()
    largest, weights = -math.inf, None
    for table in pieces:
        said = _say_more(reading, path, pieces, said)
        rest, weights = column.parted(table, path)
        if column.name is not None:
            reading.check_finite(rest, display_name(path))
        factor = 1.0
        if column.log is not None and weights is not None:
            before, largest = largest, max(largest, float(np.max(weights)))
            weights = np.zeros(len(weights)) if largest == -math.inf else np.exp(weights - largest)
            factor = 1.0 if before == -math.inf else math.exp(before - largest)
        yield in_order(rest, names, path, quiet=quiet), weights, factor
        # Said of the first.
        quiet = True
        del table, rest
    column.check_largest(path, None if weights is None else largest)
    _say_more(reading, path, pieces, said)


def _say_more(reading: Reading, path: str, pieces: "Pieces", said: set[str]) -> set[str]:
    """Say what was noticed of a file since, and return all that has been."""
    reading.say([path], [text for text in pieces.notes if text not in said])
    return set(pieces.notes)


def no_weight(path: str) -> ValueError:
    """Return the error for a file whose rows have all weight zero."""
    return ValueError(
        f"Expected a positive weight in {display_name(path)}; got zero for every row."
    )
