"""Separated text in pieces of whole lines, so that a long file is never all in memory."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from brenier.io.fields import QUOTE, Lines

# Bytes that are looked at together: more take memory, fewer take time (`benchmarks.reading`).
PIECE = 7 << 19
# Quoted text has no more lines.
MOST_LINES = 1000
# The part by which there is more room for rows than those there are.
SPARE = 16


def pieces_of(path: Path, skip: int) -> Iterator[Lines]:
    """Yield a file's lines after the first few, many at a time; quoted text is not divided.

    They are read in another thread, whose memory serves for one piece after the other. What the
    main thread frees the GNU C library gives back to the system each time, and the system has to
    make the next piece's memory ready page by page: a quarter of the time.
    """
    pieces = _pieces(path, skip)
    with ThreadPoolExecutor(1) as reading:
        while lines := reading.submit(next, pieces, None).result():
            yield lines
            # Not kept while the next ones are read.
            del lines


def _pieces(path: Path, skip: int) -> Iterator[Lines]:
    with open(path, "rb") as file:
        for _ in range(skip):
            file.readline()
        while text := _next(file):
            lines = Lines.of(text)
            yield Lines.of(text + _rest(file)) if lines.is_open else lines
            del text, lines


def _rest(file: BinaryIO) -> bytes:
    """Return the lines up to the one with which quoted text ends, or the most that it has."""
    text = b""
    for _ in range(MOST_LINES):
        line = file.readline()
        text += line
        if line.count(QUOTE) % 2 == 1:
            break
    return text


def _next(file: BinaryIO) -> bytes:
    """Return the next lines of a file; none at its end."""
    start = file.tell()
    file.seek(start + PIECE)
    file.readline()
    end = file.tell()
    # In one go, so that no second copy is made.
    file.seek(start)
    return file.read(end - start)


def together(parts: Iterable[tuple[np.ndarray | None, float]]) -> np.ndarray | None:
    """Return the rows of all parts in one array; None if a part is None, or if there is none.

    Each part comes with the share of the whole that it seems to be, which says how much room there
    has to be. Room that is never filled takes no memory.
    """
    values, end = None, 0
    for part, share in parts:
        if part is None:
            return None
        start, end = end, end + len(part)
        if values is None:
            values = np.empty((_with_spare(int(len(part) / share)), part.shape[1]))
        if end > len(values):
            # In its place if the system can, without a second copy.
            values.resize((_with_spare(end), part.shape[1]), refcheck=False)
        values[start:end] = part
    if values is not None:
        values.resize((end, values.shape[1]), refcheck=False)
    return values


def _with_spare(rows: int) -> int:
    return rows + rows // SPARE + 1
