"""A file that is only ever added to: what is in it outlives a process that is killed.

After eight bytes that say what it is come records, each with its length and a checksum before it.
A record is one safetensors file: arrays, and texts beside them; reading one runs no code. The first
has texts only, about the file. A process that dies leaves at most its last record unfinished: the
file is cut off there when it is opened again. Every few seconds what was written is asked for on
disk, so that little is lost with the machine's power either.
"""

import io
import json
import os
import stat
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from brenier.io.atomic import StrPath
from brenier.io.regular import open_regular
from brenier.io.temporary import lock

MAGIC = b"BRENJRNL"
FORMAT = "1"
# Before every record: its length in bytes, and their CRC-32.
HEAD = struct.Struct("<QI")
# Where safetensors keeps texts, after eight bytes of its header's length.
TEXTS, LENGTH = "__metadata__", struct.Struct("<Q")
# So often what was written is asked for on disk (seconds).
SYNC_SECONDS = 5.0


class JournalError(ValueError):
    """A file that is no journal, or one that cannot be gone on with."""


class Entry(NamedTuple):
    """A record: texts and arrays by name."""

    texts: Mapping[str, str]
    arrays: Mapping[str, np.ndarray]


def is_journal(path: StrPath) -> bool:
    """Return whether a file begins as a journal does."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class Journal:
    """A journal that is written to, by several threads or one.

    Attributes
    ----------
    failure : OSError or None
        Why nothing is written any more.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._lock, self._synced = Lock(), time.monotonic()
        self.failure: OSError | None = None

    @staticmethod
    def open(path: StrPath, about: Mapping[str, str]) -> "tuple[Journal, list[Entry]]":
        """Return a journal to add to, and what is in it; a new one where there is no file.

        Parameters
        ----------
        path : path
            The file.
        about : mapping
            Texts that a journal must begin with to be gone on with.

        Raises
        ------
        JournalError
            If there is another file, one that begins otherwise, or one that another process has
            open. It is left as it is.
        OSError
            If it cannot be opened or written.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        file = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
        try:
            return _opened(file, Path(path), {"format": FORMAT, **about})
        except BaseException:
            file.close()
            raise

    def add(self, entry: Entry) -> None:
        """Write a record; where the disk does not take it, nothing is written from then on."""
        record = _record(entry)
        with self._lock:
            if self.failure is not None or self._file.closed:
                return
            try:
                _write(self._file, record)
                if time.monotonic() - self._synced > SYNC_SECONDS:
                    self._sync()
            except OSError as error:
                self.failure = error

    def close(self) -> None:
        """Ask for all that was written on disk, and close the file."""
        with self._lock:
            if self._file.closed:
                return
            try:
                self._sync()
            except OSError as error:
                self.failure = self.failure or error
            self._file.close()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def _opened(file: BinaryIO, path: Path, about: Mapping[str, str]) -> tuple[Journal, list[Entry]]:
    """Return the journal in an open file, which is nobody else's, cut off after its last record."""
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise JournalError(f"Expected a file at {path}; got a pipe or a device. Name a file.")
    try:
        lock(file.fileno())
    except BlockingIOError as error:
        raise JournalError(
            f"Expected a checkpoint that no other process writes; got {path}, which one does. Wait "
            "for it, or name another file."
        ) from error
    begins = file.read(len(MAGIC))
    if not MAGIC.startswith(begins):
        raise JournalError(
            f"Expected a checkpoint, or no file yet, at {path}; got a file of another kind, which "
            "stays as it is. Name another file."
        )
    records = _whole(file) if begins == MAGIC else []
    if not records:
        _begin(file, about)
        return Journal(file), []
    first, *entries = records
    if dict(first.texts) != dict(about):
        raise JournalError(
            f"Expected a checkpoint of this version of brenier in {path} ({_listed(about)}); got "
            f"one of another ({_listed(first.texts)}). Go on with that version, or name another "
            "file."
        )
    return Journal(file), entries


def _listed(texts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def _begin(file: BinaryIO, about: Mapping[str, str]) -> None:
    file.seek(0)
    file.truncate()
    _write(file, MAGIC + _record(Entry(about, {})))
    os.fsync(file.fileno())


def _write(file: BinaryIO, data: bytes) -> None:
    """Write all of some bytes: the system may take a part at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _record(entry: Entry) -> bytes:
    arrays = {name: np.asarray(array, order="C") for name, array in entry.arrays.items()}
    payload = save(arrays, metadata=dict(entry.texts))
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _whole(file: BinaryIO) -> list[Entry]:
    """Return the records from here on, and cut off what follows the last whole one."""
    entries, end = [], file.tell()
    with os.fdopen(os.dup(file.fileno()), "rb") as reading:
        for entry in _records(reading, os.fstat(file.fileno()).st_size):
            entries.append(entry)
            end = reading.tell()
    file.seek(end)
    file.truncate()
    return entries


def entries_of(data: bytes) -> list[Entry]:
    """Return what is in the bytes of a journal, without its beginning."""
    return list(_records(io.BytesIO(data[len(MAGIC) :]), len(data)))[1:]


def _records(reading: BinaryIO, size: int) -> Iterator[Entry]:
    """Yield the records from here on, up to one that is not whole; there are no more bytes."""
    while len(head := reading.read(HEAD.size)) == HEAD.size:
        length, checksum = HEAD.unpack(head)
        if length > size - reading.tell():
            return
        payload = reading.read(length)
        if zlib.crc32(payload) != checksum:
            return
        try:
            yield _entry(payload)
        except (SafetensorError, ValueError, KeyError, TypeError):
            return


def _entry(payload: bytes) -> Entry:
    (length,) = LENGTH.unpack(payload[: LENGTH.size])
    header = json.loads(payload[LENGTH.size : LENGTH.size + length])
    return Entry(header.get(TEXTS, {}), load(payload))
