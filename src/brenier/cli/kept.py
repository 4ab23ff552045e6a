"""Rows of data files with their weights and chains; of long tables a sample that contents choose.

What goes on with rows sees no more than `--max-rows` of them: all of a shorter table, as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brenier.cli.files import Reading, display_name, in_order, split_column
from brenier.cli.weights import WeightsColumn

if TYPE_CHECKING:
    import numpy as np

    from brenier.cli.sharing import Sharing
    from brenier.data.row_sample import RowSample
    from brenier.io.table import Table


@dataclass
class OfFile:
    """What is known of a file's rows, kept or not.

    Attributes
    ----------
    path : str
        The file.
    notes : tuple of str
        What was taken for what in it.
    weighted : bool
        Whether its rows have weights.
    largest : float
        The largest weight, or logarithm of one.
    end : int
        How many rows it and the files before have.
    draws : dict
        How many are of each of its chains.
    """

    path: str
    notes: tuple[str, ...] = ()
    weighted: bool = False
    largest: float = float("-inf")
    end: int = 0
    draws: dict[float, int] = field(default_factory=dict)


class Kept:
    """Rows of one table, or of several files that are one, of which no more than so many are kept.

    Parameters
    ----------
    column : WeightsColumn
        The weights.
    reading : Reading
        How files are read, and how many rows are kept.
    chains : str, optional
        The column that says which chain a row is of.
    own_chains : bool
        Whether chains that a format has are read where `chains` names none.
    several : bool
        Whether there are several files.
    """

    def __init__(
        self,
        column: WeightsColumn,
        reading: Reading,
        *,
        chains: str | None = None,
        own_chains: bool = True,
        several: bool = False,
    ):
        from brenier.data.row_sample import RowSample

        self._column, self._reading = column, reading
        self._chains, self._own_chains, self._several = chains, own_chains, several
        self._columns: tuple[str, ...] | None = None
        self._n = 0
        self.files: list[OfFile] = []
        self.sample = RowSample(reading.most_rows)

    def read(self, path: str, *, enough: Sequence[str] = (), missing_ok: bool = False) -> None:
        """Read a file.

        Parameters
        ----------
        path : str
            A data file.
        enough : sequence of str
            The variables that are enough, where not all are wanted.
        missing_ok : bool
            Whether the columns of weights and chains may be missing.
        """
        of_file, sharing = OfFile(path), self._reading.sharing
        if sharing is None:
            self._read(of_file, enough, missing_ok=missing_ok)
        else:
            sharing.agreed(lambda: self._read(of_file, enough, missing_ok=missing_ok))
            self._exchange(of_file, sharing)
        self._column.check_largest(path, of_file.largest if of_file.weighted else None)
        self.files.append(of_file)

    def _read(self, of_file: OfFile, enough: Sequence[str], *, missing_ok: bool) -> None:
        """Read a file, or this process's rows of it."""
        pieces = self._column.pieces(
            of_file.path,
            self._reading,
            chains=self._chains,
            own_chains=self._own_chains,
            enough=enough,
        )
        for table in pieces:
            self._add(table, of_file, missing_ok=missing_ok)
            # Not kept while the next one is read.
            del table
        of_file.notes = pieces.notes

    def _exchange(self, of_file: OfFile, sharing: "Sharing") -> None:
        """Know what all processes have read of the one file there is."""
        draws = list(of_file.draws.items())
        own = {"notes": list(of_file.notes), "largest": of_file.largest, "draws": draws}
        every = sharing.objects(own)
        of_file.notes = tuple(dict.fromkeys(text for one in every for text in one["notes"]))
        of_file.largest = max(one["largest"] for one in every)
        of_file.draws = {}
        for label, n in (pair for one in every for pair in one["draws"]):
            of_file.draws[label] = of_file.draws.get(label, 0) + n
        self.sample = self.sample.of_all(sharing.rows, sharing.number)
        of_file.end = self.sample.n_rows

    def _add(self, table: "Table", of_file: OfFile, *, missing_ok: bool) -> None:
        """Add a piece of a file."""
        import numpy as np

        path = of_file.path
        rest, weights = self._column.parted(table, path, missing_ok=missing_ok)
        if self._column.name is not None:
            self._reading.check_finite(rest, display_name(path))
        is_missing = missing_ok and self._chains not in (rest.columns or ())
        rest, chain = split_column(rest, None if is_missing else self._chains, path, "chains")
        chain = rest.chain if chain is None else chain
        values = self._in_order(rest, of_file)
        of_file.weighted = weights is not None
        self._check_weighted(of_file)
        along = []
        if weights is not None:
            of_file.largest = max(of_file.largest, float(np.max(weights)))
            along.append(weights)
        if self._several or chain is not None:
            along.append(np.zeros(len(values)) if chain is None else chain)
            for label, n in zip(*np.unique(along[-1], return_counts=True), strict=True):
                of_file.draws[float(label)] = of_file.draws.get(float(label), 0) + int(n)
        self.sample.add(values, *along)
        of_file.end = self.sample.n_rows

    def _in_order(self, table: "Table", of_file: OfFile) -> "np.ndarray":
        """Return a piece's values, the columns as in the first file."""
        if not self.files:
            self._columns, self._n = table.columns, table.values.shape[1]
            return table.values
        values = table.values
        if self._columns is not None:
            # Said of the first piece.
            quiet = self._reading.quiet or of_file.end > 0
            values = in_order(table, self._columns, of_file.path, quiet=quiet)
        if values.shape[1] != self._n:
            raise ValueError(
                f"Expected the {self._n} columns of {display_name(self.files[0].path)} in "
                f"{display_name(of_file.path)}; got {values.shape[1]}."
            )
        return values

    def _check_weighted(self, of_file: OfFile) -> None:
        """Raise `ValueError` if some files have weights and others have not."""
        if not self.files or self.files[0].weighted == of_file.weighted:
            return
        without = of_file if self.files[0].weighted else self.files[0]
        raise ValueError(
            "Expected weights in all files or in none; got none in "
            f"{display_name(without.path)}. Name their column with --weights."
        )

    @property
    def table(self) -> "Table":
        """The rows that are kept."""
        from brenier.io.table import Table

        return Table(self._columns, self.sample.kept[0])

    @property
    def columns(self) -> tuple[str, ...]:
        """The first file's columns, which are enough of others; none where they have no names."""
        return self._columns or ()

    @property
    def weights(self) -> "np.ndarray | None":
        """Their weights; None without any. Logarithms are relative to their file's largest."""
        import numpy as np

        if not self.files[0].weighted:
            return None
        found = self.sample.kept[1]
        if self._column.log is None:
            return found
        largest = np.array([of_file.largest for of_file in self.files])
        return np.exp(found - largest[self._file_numbers()])

    @property
    def labels(self) -> "np.ndarray | None":
        """Which chain each is of, 0, 1, ...; None where nothing says so."""
        import numpy as np

        if not self.files[0].draws:
            return None
        labels = self.sample.kept[-1]
        _, found = np.unique(
            np.column_stack([self._file_numbers(), labels]), axis=0, return_inverse=True
        )
        return found.reshape(-1)

    @property
    def draws(self) -> list[int]:
        """How many rows each chain has, kept or not."""
        return [n for of_file in self.files for n in of_file.draws.values()]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said where not all rows are kept."""
        return used_rows(self.sample)

    def _file_numbers(self) -> "np.ndarray":
        """Return which file each row is of."""
        import numpy as np

        ends = [of_file.end for of_file in self.files]
        return np.searchsorted(ends, self.sample.places, side="right")


def used_rows(sample: "RowSample") -> tuple[str, ...]:
    """Return what is said where not all rows of a table are kept."""
    if sample.is_all:
        return ()
    return (
        f"{sample.most} of {sample.n_rows} rows are used, which a hash of their contents chooses; "
        "--max-rows says how many, or all",
    )
