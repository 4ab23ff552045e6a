"""The pieces of a table as they are read: checked, and what is noticed of all of them kept."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brenier.io.folder import OwnRows
    from brenier.io.table import Columns, Table


class Pieces:
    """A table's pieces, one after the other; there is a row in each.

    Parameters
    ----------
    path : str
        A data file.
    columns : Columns
        Those that are read.
    where : str
        How messages name the file.
    check : callable, Table -> None, or None
        Raises an error where values are not finite. None: infinite ones are let pass, and missing
        ones that are not left out: they are refused later then.
    drop_missing : bool
        Whether rows with missing values are left out.
    whole_up_to : int or None
        How many rows are read in one piece, whatever the memory they take; None: all.
    own : callable or None
        Which rows are read, where not all are.

    Attributes
    ----------
    notes : tuple of str
        What was taken for what, complete once there are no more pieces.
    """

    def __init__(
        self,
        path: str,
        columns: "Columns",
        where: str,
        *,
        check: "Callable[[Table], None] | None",
        drop_missing: bool = False,
        whole_up_to: int | None = 0,
        own: "OwnRows | None" = None,
    ):
        self.notes: tuple[str, ...] = ()
        self._path, self._columns, self._where = path, columns, where
        self._check, self._drop_missing = check, drop_missing
        self._whole_up_to, self._own = whole_up_to, own

    def __iter__(self) -> "Iterator[Table]":
        """Yield the pieces."""
        from brenier.io.table import MissingRows, read_pieces

        missing = MissingRows(self._where, infinite_ok=self._check is None)
        is_empty = True
        for piece in read_pieces(
            self._path, columns=self._columns, whole_up_to=self._whole_up_to, own=self._own
        ):
            table = missing.left_out(piece) if self._drop_missing else piece
            if self._check is not None:
                self._check(table)
            self.notes += tuple(text for text in table.notes if text not in self.notes)
            if len(table.values):
                is_empty = False
                yield table
            # Not kept while the next one is read.
            del piece, table
        if is_empty:
            raise missing.nothing_left()
        self.notes += missing.notes
