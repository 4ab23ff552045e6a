"""Whether every line of separated text has as many fields, found without reading the fields."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

# Bytes that are looked at together.
PIECE = 1 << 22
NEW_LINE, QUOTE = ord("\n"), ord('"')


def is_regular(path: Path, skip: int, n: int, separator: str) -> bool:
    """Whether every line of a file after the first few has n fields, none of them quoted."""
    with open(path, "rb") as file:
        for _ in range(skip):
            file.readline()
        return _are_regular(iter(lambda: file.read(PIECE), b""), n, separator)


def has_rows_of(body: bytes, n: int, separator: str) -> bool:
    """Whether every line has n fields, none of them quoted."""
    pieces = (body[start : start + PIECE] for start in range(0, len(body), PIECE))
    return _are_regular(pieces, n, separator)


def _are_regular(pieces: Iterable[bytes], n: int, separator: str) -> bool:
    """Whether of the separators and line ends, every n-th and no other is a line end."""
    place = 0
    for piece in _ended(pieces):
        bytes_ = np.frombuffer(piece, np.uint8)
        ends = bytes_ == NEW_LINE
        marks = ends[ends | (bytes_ == ord(separator))]
        expected = (np.arange(place + 1, place + 1 + len(marks)) % n) == 0
        if not np.array_equal(marks, expected) or (bytes_ == QUOTE).any():
            return False
        place = (place + len(marks)) % n
    return place == 0


def _ended(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces, and a line end after the last where it has none."""
    last = b"\n"
    for piece in pieces:
        last = piece[-1:]
        yield piece
    if last != b"\n":
        yield b"\n"
