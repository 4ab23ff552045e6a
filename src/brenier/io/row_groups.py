"""Row groups of Parquet files, and which of them are whose.

Processes that read one table together read a run of its row groups each, in the order of the files.
How many rows a group has stands at the end of a file, in Thrift's compact protocol ([1]_, [2]_).

References
----------
.. [1] Apache Parquet, "File format", `parquet.thrift`: FileMetaData, RowGroup.
.. [2] Apache Thrift, "Thrift compact protocol encoding".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brenier.io.base import TableError, counted, damaged

# A file's last bytes: the length of its description, and what it is.
TAIL_BYTES, LENGTH_BYTES = 8, 4
# Fields of FileMetaData and RowGroup.
ROW_GROUPS, NUM_ROWS = 4, 3
# Types of the compact protocol.
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


class RowGroup(NamedTuple):
    """A row group of one of several files.

    Attributes
    ----------
    file, group : int
        Which file, and which of its groups.
    rows : int
        How many rows it has.
    """

    file: int
    group: int
    rows: int


@dataclass(frozen=True)
class Share:
    """The row groups that one process reads, and their rows among those of all files.

    Attributes
    ----------
    groups : tuple of RowGroup
        In the order of the files.
    first, n_rows : int
        Their first row, and how many they have.
    """

    groups: tuple[RowGroup, ...]
    first: int
    n_rows: int


def row_groups(files: Sequence[Path]) -> list[RowGroup]:
    """Return the row groups of Parquet files that have rows."""
    return [
        RowGroup(k, group, rows)
        for k, file in enumerate(files)
        for group, rows in enumerate(group_rows(file))
        if rows
    ]


def share_of(groups: Sequence[RowGroup], number: int, count: int, where: str) -> Share:
    """Return the share of one of several processes: a run of groups, as equal as they allow.

    Raises
    ------
    TableError
        If there are fewer row groups than processes.
    """
    if len(groups) < count:
        raise TableError(
            f"Expected {counted(count, 'row group')} or more in {where}, one for each process; got "
            f"{len(groups)}. Start fewer processes, or write files with smaller row groups."
        )
    starts = _starts(np.array([group.rows for group in groups]), count)
    own = slice(starts[number], starts[number + 1])
    first, n_rows = (sum(group.rows for group in groups[part]) for part in (slice(own.start), own))
    return Share(tuple(groups[own]), first, n_rows)


def _starts(rows: np.ndarray, count: int) -> list[int]:
    """Return the first group of every process, and the number of all: none goes without one."""
    middles, starts = np.cumsum(rows) - 0.5 * rows, [0]
    for k in range(1, count):
        even = int(np.searchsorted(middles, np.sum(rows) * k / count))
        starts.append(min(max(even, starts[-1] + 1), len(rows) - count + k))
    return [*starts, len(rows)]


def group_rows(file: Path) -> list[int]:
    """Return how many rows every row group of a Parquet file has.

    Raises
    ------
    TableError
        If the file's end is none of Parquet.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(-TAIL_BYTES, 2)
            length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
            stream.seek(-TAIL_BYTES - length, 2)
            described = _Compact(stream.read(length)).struct()
        return [int(group[NUM_ROWS]) for group in described[ROW_GROUPS]]
    except (OSError, IndexError, KeyError, TypeError) as error:
        raise damaged("a Parquet table", str(file), error) from error


class _Compact:
    """What bytes of the compact protocol hold: structures as dictionaries of numbered fields."""

    def __init__(self, content: bytes):
        self._content, self._place = content, 0

    def struct(self) -> dict[int, Any]:
        """Return the structure that begins here."""
        return dict(self._fields())

    def _fields(self) -> Iterator[tuple[int, Any]]:
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._integer()
            # A field's truth is its type.
            yield number, kind == TRUE if kind in (TRUE, FALSE) else self._value(kind)

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind in (LIST, SET):
            return self._list()
        if kind == MAP:
            return self._map()
        return self.struct() if kind == STRUCT else self._integer()

    def _list(self) -> list[Any]:
        head = self._byte()
        size = head >> 4
        size = self._varint() if size == 15 else size
        return [self._value(head & 15) for _ in range(size)]

    def _map(self) -> list[Any]:
        size = self._varint()
        kinds = self._byte() if size else 0
        return [(self._value(kinds >> 4), self._value(kinds & 15)) for _ in range(size)]

    def _integer(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _byte(self) -> int:
        self._place += 1
        return self._content[self._place - 1]

    def _bytes(self, n: int) -> bytes:
        self._place += n
        if self._place > len(self._content):
            raise IndexError("it ends early")
        return self._content[self._place - n : self._place]
