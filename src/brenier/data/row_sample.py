r"""A sample of a long table's rows, which the rows' contents choose: the same in any order.

Every row has a hash, a number of 64 bits that looks uniform, and the k rows with the least ones are
kept (a bottom-k sample [1]_): each set of k rows is as likely as any other. The table comes in
pieces, and no more than some 5/4 k rows and a piece are held. Neither the order of the rows nor
where pieces and files end changes which rows are kept.

The hash is that of splitmix64 over the bits of a row's cells, with a key of its own: rows that are
held out of a fit are chosen by others (`brenier.data.rows`), so the sample says nothing of them. It
is no cryptographic one, and takes a quarter of a second for 10^6 rows of six columns.

Equal rows would be kept or left out together, and one that makes a fifth of a table could be all of
its sample, or nothing of it. So equal rows are counted within blocks of 2^20 rows, which no piece
changes, and the hash is of the contents, and of number and block of all but the first in a block:
rows that repeat are in the sample about as often as in the table. Only such rows, and only of
tables longer than a block, are then chosen by the order, too. Of rows with the same hash at the
limit those that come first are kept.

References
----------
.. [1] E. Cohen, H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt64

from brenier.data.column_order import mixed
from brenier.data.sketch import prints

# What tells these hashes from others of the same rows.
KEY = np.uint64(0x73616D706C652121)
# Rows among which equal ones are counted.
BLOCK = 1 << 20
# The part of k by which more rows are held before those too many are left out.
SPARE = 4
# Rows that are hashed together: no number depends on it.
TOGETHER = 1 << 16


class RowSample:
    """The rows of a table that are kept, of those seen so far.

    Parameters
    ----------
    most : int or None
        How many rows are kept; None: all.

    Attributes
    ----------
    most : int or None
        How many rows are kept.
    n_rows : int
        Rows seen.
    largest_held : int
        The most rows held at a time.
    """

    def __init__(self, most: int | None):
        self.most, self.n_rows, self.largest_held = most, 0, 0
        self._parts: list[_Part] = []
        self._copies = _Copies()
        # Rows whose hashes are larger are not among the least.
        self._limit: np.uint64 | None = None

    def add(self, X: Float[np.ndarray, "N d"], *along: Float[np.ndarray, " N"]) -> None:
        """See the next rows, with other numbers that go along with them and choose nothing."""
        self._parts.append(_Part((X, *along), np.arange(self.n_rows, self.n_rows + len(X))))
        self.n_rows += len(X)
        self.largest_held = max(self.largest_held, self._held)
        if self.most is None or self.n_rows <= self.most:
            return
        self._hash()
        if self._held > self.most + self.most // SPARE:
            self._leave_out(self.most)

    def of_all(
        self, exchange: Callable[[Float[np.ndarray, "N d"]], np.ndarray], number: int
    ) -> "RowSample":
        """Return the sample of the rows that several processes have seen, one after the other.

        Equal rows are counted in each process by itself.

        Parameters
        ----------
        exchange : callable
            Returns the rows of all processes, in the order of these; called in all of them.
        number : int
            Which process this is.
        """
        counts = exchange(np.array([[float(self.n_rows)]]))[:, 0].astype(int)
        whole = RowSample(self.most)
        whole.n_rows = int(counts.sum())
        if not whole.is_all:
            self._hash()
        own = self._whole()
        columns = [*own.arrays, own.places + counts[:number].sum()]
        columns += [] if own.hashes is None else [own.hashes.view(np.float64)]
        rows = exchange(np.column_stack(columns).astype(np.float64, copy=False))
        n = own.arrays[0].shape[1]
        along = tuple(rows[:, n + k].copy() for k in range(len(own.arrays) - 1))
        part = _Part((rows[:, :n].copy(), *along), rows[:, n + len(along)].astype(int))
        if own.hashes is not None:
            part.hashes = rows[:, -1].copy().view(np.uint64)
        whole._parts = [part]
        return whole

    def _hash(self) -> None:
        """Have the hashes of all rows that are held, those beyond the limit left out."""
        for part in self._parts:
            if part.hashes is None:
                part.hashes = self._copies.hashes(part.arrays[0])
                if self._limit is not None:
                    part.keep(part.hashes <= self._limit)

    @property
    def kept(self) -> tuple[np.ndarray, ...]:
        """The rows that are kept, in the table's order, and what goes along; some were seen."""
        return self._whole().arrays

    @property
    def places(self) -> Int[np.ndarray, " k"]:
        """Where the rows that are kept stand in the table, counted from 0."""
        return self._whole().places

    @property
    def is_all(self) -> bool:
        """Whether every row is kept."""
        return self.most is None or self.n_rows <= self.most

    @property
    def _held(self) -> int:
        return sum(len(part.places) for part in self._parts)

    def _whole(self) -> "_Part":
        """Return the rows that are kept as one part."""
        if self.most is not None and self._held > self.most:
            self._leave_out(self.most)
        if len(self._parts) > 1:
            self._parts = [_Part.together(self._parts)]
        return self._parts[0]

    def _leave_out(self, most: int) -> None:
        """Keep the rows of the least hashes only."""
        hashes = np.concatenate([part.hashes for part in self._parts if part.hashes is not None])
        limit = np.partition(hashes, most - 1)[most - 1]
        # Of those at the limit, the first that there is room for.
        room = most - int(np.count_nonzero(hashes < limit))
        for part in self._parts:
            room -= part.keep_least(limit, room)
        self._parts = [part for part in self._parts if len(part.places)]
        self._limit = limit


class _Part:
    """Rows of a piece that are held, where they stand, and their hashes once these are known."""

    def __init__(self, arrays: tuple[np.ndarray, ...], places: np.ndarray):
        self.arrays, self.places = arrays, places
        self.hashes: np.ndarray | None = None

    @staticmethod
    def together(parts: "list[_Part]") -> "_Part":
        """Return the rows of parts that follow each other."""
        arrays = zip(*(part.arrays for part in parts), strict=True)
        whole = _Part(
            tuple(np.concatenate(pieces) for pieces in arrays),
            np.concatenate([part.places for part in parts]),
        )
        hashes = [part.hashes for part in parts if part.hashes is not None]
        whole.hashes = np.concatenate(hashes) if hashes else None
        return whole

    def keep_least(self, limit: np.uint64, room: int) -> int:
        """Keep rows below a limit, and so many at it; return how many these are."""
        hashes = np.zeros(0, np.uint64) if self.hashes is None else self.hashes
        at = np.flatnonzero(hashes == limit)[:room]
        chosen = hashes < limit
        chosen[at] = True
        self.keep(chosen)
        return len(at)

    def keep(self, chosen: np.ndarray) -> None:
        """Keep some of the rows."""
        if chosen.all():
            return
        self.arrays = tuple(array[chosen] for array in self.arrays)
        self.places = self.places[chosen]
        self.hashes = None if self.hashes is None else self.hashes[chosen]


class _Copies:
    """Equal rows, counted within blocks."""

    def __init__(self):
        self._block = -1
        self._begin()

    def _begin(self) -> None:
        """Begin a block."""
        self._block += 1
        self._left = BLOCK
        # The prints of its rows that were seen, in order, and how often these were.
        self._seen, self._times = np.zeros(0, np.uint64), np.zeros(0, np.int64)

    def hashes(self, X: Float[np.ndarray, "N d"]) -> UInt64[np.ndarray, " N"]:
        """Return the hashes of the next rows."""
        found = np.empty(len(X), np.uint64)
        for start in range(0, len(X), TOGETHER):
            there = slice(start, start + TOGETHER)
            found[there] = prints(X[there])
        start = 0
        while start < len(X):
            there = slice(start, start + self._left)
            number = self._numbers(found[there])
            copy = np.where(number > 0, number + self._block * BLOCK, 0).astype(np.uint64)
            found[there] = mixed(mixed(found[there] ^ KEY) + copy)
            start += len(number)
            self._left -= len(number)
            if not self._left:
                self._begin()
        return found

    def _numbers(self, found: UInt64[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        """Return of every row how many equal ones of its block come before it."""
        order = np.argsort(found, kind="stable")
        in_order = found[order]
        begins = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
        values, times = in_order[begins], np.diff(np.r_[begins, len(found)])
        place = np.searchsorted(self._seen, values)
        known = np.zeros(len(values), bool)
        if len(self._seen):
            known = self._seen[np.minimum(place, len(self._seen) - 1)] == values
        before = np.zeros(len(values), np.int64)
        before[known] = self._times[place[known]]
        numbers = np.empty(len(found), np.int64)
        numbers[order] = np.arange(len(found)) + np.repeat(before - begins, times)
        self._times[place[known]] += times[known]
        self._seen = np.insert(self._seen, place[~known], values[~known])
        self._times = np.insert(self._times, place[~known], times[~known])
        return numbers
