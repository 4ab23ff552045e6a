"""The column of a data file that holds the rows' weights, or their logarithms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from brenier.cli.files import Reading, display_name, split_column

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

    def read(
        self,
        path: str,
        reading: Reading,
        *,
        chains: str | None = None,
        own_chains: bool = True,
        enough: Sequence[str] = (),
        missing_ok: bool = False,
    ) -> "tuple[Table, np.ndarray | None]":
        """Return the table in a file without this column, and the weights; None without any.

        Without this column, weights that the file's format has are returned.

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
        missing_ok : bool
            Whether the file may have no such column.
        """
        table = reading.table(
            path,
            also=[name for name in (self.name, chains) if name is not None],
            enough=enough,
            own_weights=self.name is None,
            own_chains=own_chains and chains is None,
            # Minus infinity is the logarithm of a weight of zero.
            allow_infinite=self.log is not None,
        )
        rest, weights = self._parted(table, path, missing_ok=missing_ok)
        if self.name is not None:
            reading.check_finite(rest, display_name(path))
        return rest, weights

    def pieces(
        self, path: str, reading: Reading, *, enough: Sequence[str] = ()
    ) -> "Iterator[tuple[Table, np.ndarray | None]]":
        """Yield the same in pieces, where a file can be read so; of logarithms it is one."""
        if self.log is not None:
            table, weights = self.read(path, reading, own_chains=False, enough=enough)
            reading.say([path], table.notes)
            yield table, weights
            return
        also = [] if self.plain is None else [self.plain]
        of_file = reading.pieces(path, also=also, enough=enough, own_weights=self.name is None)
        for table in of_file:
            yield self._parted(table, path, missing_ok=False)

    def _parted(
        self, table: "Table", path: str, *, missing_ok: bool
    ) -> "tuple[Table, np.ndarray | None]":
        """Return a table without this column, and the weights."""
        if self.name is None:
            return table, self._own(table, path)
        is_missing = table.columns is None or self.name not in table.columns
        column = None if missing_ok and is_missing else self.name
        rest, values = split_column(table, column, path, "weights")
        return rest, None if values is None else self._weights(values, path, table.first)

    def _own(self, table: "Table", path: str) -> "np.ndarray | None":
        """Return the weights of the file's format."""
        from brenier.data.weights import check_weights

        if table.weights is not None:
            what = f"the weights of {display_name(path)}"
            check_weights(table.weights, what, count_from=1, before=table.first)
        return table.weights

    def _weights(self, values: "np.ndarray", path: str, before: int) -> "np.ndarray":
        from brenier.data.weights import check_weights, weights_of_logs

        what = f"the column {self.name!r} of {display_name(path)}"
        if self.log is not None:
            return weights_of_logs(values, what, count_from=1)
        check_weights(values, what, count_from=1, before=before)
        return values
