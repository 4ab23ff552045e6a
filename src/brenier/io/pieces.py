"""Separated text in pieces of whole lines, so that a long file is never all in memory."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Bytes that are looked at together.
PIECE = 1 << 22
# Quoted text has no more lines.
MOST_LINES = 1000
QUOTE = b'"'
BYTES = 256


def pieces_of(path: Path, skip: int) -> Iterator[bytes]:
    """Yield a file's lines after the first few, many at a time; quoted text is not divided."""
    with open(path, "rb") as file:
        for _ in range(skip):
            file.readline()
        while piece := file.read(PIECE):
            piece += file.readline()
            is_open = piece.count(QUOTE) % 2 == 1
            for _ in range(MOST_LINES * is_open):
                line = file.readline()
                piece += line
                if line.count(QUOTE) % 2 == 1:
                    break
            yield piece


def is_regular(text: bytes, n: int, separator: str) -> bool:
    """Whether every line has n fields, quoted ones among them."""
    between = separator.encode()
    if QUOTE in text:
        # What is quoted begins and ends with its field; other quotes are no part of the format.
        field = rb'"(?<=[\n%b]")[^"]*(?:""[^"]*)*"(?=[\r\n%b])' % ((re.escape(between),) * 2)
        text = re.sub(field, b"", b"\n" + text + b"\n")[1:].removesuffix(b"\n")
    marks = between + b"\n" + QUOTE
    others = bytes(byte for byte in range(BYTES) if byte not in marks)
    found = text.translate(None, others) + b"\n" * (not text.endswith(b"\n"))
    line = between * (n - 1) + b"\n"
    return found == line * (len(found) // n)


def together(parts: list[np.ndarray]) -> np.ndarray:
    """Return the rows of all parts, which are let go of one by one."""
    rows = sum(len(part) for part in parts)
    values, start = np.empty((rows, parts[0].shape[1])), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        values[start : start + len(part)] = part
        start += len(part)
    return values
