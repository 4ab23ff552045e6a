"""Warnings of some rows, which a table that comes in pieces gives once, of all pieces."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from brenier.status import NoImageWarning, NoPreimageWarning, SomeRows


class RowWarnings:
    """What is warned of rows, piece by piece."""

    def __init__(self):
        self._found: dict[tuple[type, str], NoImageWarning | NoPreimageWarning] = {}
        self._n_rows = 0

    @contextmanager
    def of_piece(self, n_rows: int) -> Iterator[None]:
        """Keep what is warned of the next rows; other warnings are given as they are."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        for one in caught:
            if isinstance(one.message, NoImageWarning | NoPreimageWarning):
                self._add(one.message)
            else:
                warnings.warn(one.message, one.category, stacklevel=3)
        self._n_rows += n_rows

    def give(self) -> None:
        """Warn of all rows."""
        for one in self._found.values():
            warnings.warn(one.of(one.rows._replace(n_rows=self._n_rows)), stacklevel=2)

    def _add(self, found: NoImageWarning | NoPreimageWarning) -> None:
        kind = type(found), found.why if isinstance(found, NoImageWarning) else ""
        count, first = found.rows.count, self._n_rows + found.rows.first
        if kind in self._found:
            found = self._found[kind]
            count, first = found.rows.count + count, found.rows.first
        self._found[kind] = found.of(SomeRows(count, 0, first))
