"""The column of a data file that holds the rows' weights, or their logarithms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from brenier.cli.files import Reading, display_name, split_column
from brenier.cli.pieces import Pieces

if TYPE_CHECKING:
    import numpy as np

    from brenier.io.table import Table


@dataclass(frozen=True)
class WeightsColumn:
    """The column of weights, or that of their logarithms; neither where both are None."""

    plain: str | None
    log: str | None

    @staticmethod
    def of(plain: str | None, log: str | None) -> "WeightsColumn":
        """Return what the options of a command say."""
        if plain is not None and log is not None:
            raise typer.BadParameter("--weights and --log-weights are the same weights: give one.")
        return WeightsColumn(plain, log)

    @property
    def name(self) -> str | None:
        """What the column is called."""
        return self.log if self.plain is None else self.plain

    def pieces(
        self,
        path: str,
        reading: Reading,
        *,
        chains: str | None = None,
        own_chains: bool = False,
        enough: Sequence[str] = (),
    ) -> Pieces:
        """Return the table in a file with this column, in pieces where it can be read so.

        Parameters
        ----------
        path : str
            A data file.
        reading : Reading
            How it is read.
        chains : str, optional
            The column that says which chain a row is of, which is read, too.
        own_chains : bool
            Whether chains that the format has are returned where `chains` names none.
        enough : sequence of str
            The variables that are enough, where not all are wanted.
        """
        return reading.pieces(
            path,
            also=[name for name in (self.name, chains) if name is not None],
            enough=enough,
            own_weights=self.name is None,
            own_chains=own_chains and chains is None,
            # Minus infinity is the logarithm of a weight of zero.
            allow_infinite=self.log is not None,
        )

    def parted(
        self, table: "Table", path: str, *, missing_ok: bool = False
    ) -> "tuple[Table, np.ndarray | None]":
        """Return a piece without this column, and the column as it is; None without any.

        Without a name, weights that the file's format has are returned. `missing_ok` says whether
        the file may have no such column.
        """
        if self.name is None:
            return table, self._own(table, path)
        is_missing = table.columns is None or self.name not in table.columns
        column = None if missing_ok and is_missing else self.name
        rest, values = split_column(table, column, path, "weights")
        if values is not None:
            self._check(values, path, table.first)
        return rest, values

    def check_largest(self, path: str, largest: float | None) -> None:
        """Raise `ValueError` if the largest of all logarithms, if there are, is of weight zero."""
        from brenier.data.weights import check_largest

        if self.log is not None and largest is not None:
            check_largest(largest, self._what(path))

    def _own(self, table: "Table", path: str) -> "np.ndarray | None":
        """Return the weights of the file's format."""
        from brenier.data.weights import check_weights

        if table.weights is not None:
            what = f"the weights of {display_name(path)}"
            check_weights(table.weights, what, count_from=1, before=table.first)
        return table.weights

    def _check(self, values: "np.ndarray", path: str, before: int) -> None:
        from brenier.data.weights import check_log_weights, check_weights

        check = check_weights if self.log is None else check_log_weights
        check(values, self._what(path), count_from=1, before=before)

    def _what(self, path: str) -> str:
        return f"the column {self.name!r} of {display_name(path)}"
