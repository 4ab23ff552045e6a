"""Tables written piece by piece: the same bytes whatever the pieces are.

A writer takes rows as they come and appends them to a file. What depends on how rows are cut, the
groups of rows of Parquet and the blocks that are compressed together, is cut anew.
"""

# polars is imported inside the functions: see `brenier.io.table`.

import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from queue import Full, Queue
from threading import Thread
from typing import IO, Any, Protocol, cast, runtime_checkable

import numpy as np

from brenier.io.base import Table
from brenier.io.frame import to_frame
from brenier.io.text import header_line, rows_of_text

# Rows of a group in a Parquet file, as many as polars writes unasked.
GROUP_ROWS = 1 << 18
# Bytes that are compressed together.
BLOCK = 1 << 20
# How long a thread waits before it looks whether the other one has ended (seconds).
WAIT = 0.1
# What makes zlib write gzip. The digits of real data hardly shrink further at the higher levels,
# which take several times as long.
GZIP, LEVEL = 31, 1


@runtime_checkable
class Sink(Protocol):
    """What is written to."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Append bytes."""


class AbstractWriter(ABC):
    """Rows of numbers on their way to a file, used in a `with` statement."""

    def __enter__(self) -> "AbstractWriter":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.end(is_whole=kind is None)

    @abstractmethod
    def write(self, values: np.ndarray) -> None:
        """Append rows, (N, n) float64 in C order."""

    @abstractmethod
    def end(self, *, is_whole: bool) -> None:
        """Write what is left, so that the file is whole; otherwise none is wanted any more."""


class TextWriter(AbstractWriter):
    """A line of names, and a line a row."""

    def __init__(self, sink: Sink, names: Sequence[str], where: str, *, separator: str):
        self._sink, self._names, self._separator = sink, tuple(names), separator
        self._header = header_line(names, where, separator)

    def write(self, values: np.ndarray) -> None:
        """Append rows."""
        rows = rows_of_text(Table(self._names, values), self._separator)
        self._sink.write((self._header + rows).encode())
        self._header = ""

    def end(self, *, is_whole: bool) -> None:
        """Nothing is left."""


class NpyWriter(AbstractWriter):
    """An array of NPY, whose header says at the end how many rows there are; names are lost."""

    def __init__(self, sink: Any, names: Sequence[str], where: str):
        self._sink, self._n_columns, self._n_rows = sink, len(names), 0
        sink.write(self._header)

    @property
    def _header(self) -> bytes:
        # It has the same length for all numbers of rows.
        stream = io.BytesIO()
        about = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(np.float64)),
            "fortran_order": False,
            "shape": (self._n_rows, self._n_columns),
        }
        np.lib.format.write_array_header_1_0(stream, about)
        return stream.getvalue()

    def write(self, values: np.ndarray) -> None:
        """Append rows."""
        self._sink.write(values.data)
        self._n_rows += len(values)

    def end(self, *, is_whole: bool) -> None:
        """Write the header anew."""
        if is_whole:
            self._sink.overwrite(self._header)


class ParquetWriter(AbstractWriter):
    """Groups of rows of a Parquet file; another thread writes one while the next is made."""

    def __init__(self, sink: Sink, names: Sequence[str], where: str):
        self._names = tuple(names)
        self._sink = _Watched(sink)
        self._waiting: list[np.ndarray] = []
        self._groups: Queue[np.ndarray | None] = Queue(1)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def write(self, values: np.ndarray) -> None:
        """Append rows."""
        self._waiting.append(values)
        n = sum(map(len, self._waiting))
        if n < GROUP_ROWS:
            return
        rows = np.concatenate(self._waiting) if len(self._waiting) > 1 else values
        whole = n - n % GROUP_ROWS
        # Not the array itself, whose other rows would be kept with them.
        self._waiting = [rows[whole:].copy()]
        for start in range(0, whole, GROUP_ROWS):
            self._put(rows[start : start + GROUP_ROWS])

    def end(self, *, is_whole: bool) -> None:
        """Write the last group, and what a Parquet file has at its end."""
        if is_whole and any(map(len, self._waiting)):
            self._put(np.concatenate(self._waiting))
        # A thread knows of no failure but its own, and makes a file of what it has.
        self._put(None)
        self._thread.join()
        if is_whole:
            self._raise()

    def _put(self, group: np.ndarray | None) -> None:
        """Hand rows over, or that there are no more."""
        while self._thread.is_alive():
            try:
                self._groups.put(group, timeout=WAIT)
                return
            except Full:
                continue
        if group is not None:
            self._raise()
            raise RuntimeError("Expected rows to be written; got a thread that has ended.")

    def _raise(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._sink.error is not None:
            raise self._sink.error
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        import polars as pl
        from polars.io.plugins import register_io_source

        def groups(*_: Any) -> "Iterator[pl.DataFrame]":
            while (group := self._groups.get()) is not None:
                yield to_frame(Table(self._names, group))

        try:
            rows = register_io_source(groups, schema=dict.fromkeys(self._names, pl.Float64))
            rows.sink_parquet(
                cast("IO[bytes]", self._sink), row_group_size=GROUP_ROWS, maintain_order=True
            )
        except BaseException as error:
            self._error = error


class _Watched(io.RawIOBase):
    """What is written to, as polars takes it, which says in its own words what went wrong."""

    def __init__(self, sink: Sink):
        super().__init__()
        self._sink = sink
        self.error: BaseException | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            self._sink.write(data)
        except BaseException as error:
            self.error = error
            raise
        return len(data)


class Zipped:
    """A gzip of what is written to it, without a time stamp."""

    def __init__(self, sink: Sink):
        self._sink, self._rest = sink, b""
        self._zip = zlib.compressobj(LEVEL, wbits=GZIP)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        found = self._rest + data
        whole = len(found) - len(found) % BLOCK
        for start in range(0, whole, BLOCK):
            self._sink.write(self._zip.compress(found[start : start + BLOCK]))
        self._rest = found[whole:]

    def end(self) -> None:
        """Write what is left."""
        self._sink.write(self._zip.compress(self._rest) + self._zip.flush())
