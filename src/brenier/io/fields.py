"""Whether every line of separated text has as many fields as there are columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

QUOTE = b'"'
BYTES = 256
# So many are compared together, which are in the processor's cache then.
BLOCK = 1 << 17
# So many quoted fields are looked at together, byte by byte, unless one is longer (bytes).
FIELDS, LONGEST = 1 << 10, 1 << 12


@dataclass(frozen=True)
class Lines:
    """Whole lines of text, and the places of its quotes."""

    text: bytes
    quotes: np.ndarray

    @staticmethod
    def of(text: bytes) -> "Lines":
        """Return the lines of a text."""
        return Lines(text, _places(text, QUOTE))

    @property
    def is_open(self) -> bool:
        """Whether quoted text goes on after the last line."""
        return len(self.quotes) % 2 == 1


def _places(text: bytes, mark: bytes) -> np.ndarray:
    """Return where a byte occurs."""
    if mark not in text:
        return np.empty(0, int)
    blocks = enumerate(_equal(text, mark))
    return np.concatenate([np.flatnonzero(equal) + k * BLOCK for k, equal in blocks])


def _equal(text: bytes, mark: bytes) -> Iterator[np.ndarray]:
    """Yield which bytes are a mark, block by block."""
    found = _bytes(text)
    for start in range(0, len(found), BLOCK):
        yield found[start : start + BLOCK] == ord(mark)


def count_unquoted(lines: Lines, separator: str) -> int | None:
    """Return how many separators are not quoted; None if quotes are unusual."""
    total = sum(int(np.count_nonzero(equal)) for equal in _equal(lines.text, separator.encode()))
    if not len(lines.quotes) or lines.is_open:
        return None if lines.is_open else total
    found, opening, closing = _bytes(lines.text), lines.quotes[::2], lines.quotes[1::2]
    if np.max(closing - opening) > LONGEST or not _are_at_ends(found, opening, closing, separator):
        return None
    is_separator = _table(separator.encode())
    starts = range(0, len(opening), FIELDS)
    return total - sum(
        _count_within(found, is_separator, opening[k : k + FIELDS], closing[k : k + FIELDS])
        for k in starts
    )


def _count_within(found: np.ndarray, wanted: np.ndarray, start: np.ndarray, end: np.ndarray) -> int:
    """Return how many bytes that are wanted are between starts and ends."""
    length = end - start
    # The places from each start to its end, one after the other.
    places = np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())
    return int(np.count_nonzero(wanted[found[places]]))


def _bytes(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8)


def _are_at_ends(
    found: np.ndarray, opening: np.ndarray, closing: np.ndarray, separator: str
) -> bool:
    """Whether what is quoted begins and ends with its field; a quote in it is written twice."""
    # Of a quote at the text's beginning or end, which has no neighbour, itself is looked at.
    before = found[np.maximum(opening - 1, 0)]
    after = found[np.minimum(closing + 1, len(found) - 1)]
    between = separator.encode() + b"\n" + QUOTE
    return bool(_table(between)[before].all() and _table(between + b"\r")[after].all())


def _table(some: bytes) -> np.ndarray:
    """Return of every byte whether it is one of some."""
    table = np.zeros(BYTES, bool)
    table[list(some)] = True
    return table


def is_regular(text: bytes, n: int, separator: str) -> bool:
    """Whether every line has n fields, quoted ones among them."""
    between = separator.encode()
    text += b"\n" * (not text.endswith(b"\n"))
    if QUOTE in text:
        # What is quoted begins and ends with its field; other quotes are no part of the format.
        field = rb'"(?<=[\n%b]")[^"]*(?:""[^"]*)*"(?=[\r\n%b])' % ((re.escape(between),) * 2)
        text = re.sub(field, b"", b"\n" + text)[1:]
    marks = between + b"\n" + QUOTE
    others = bytes(byte for byte in range(BYTES) if byte not in marks)
    found = text.translate(None, others)
    line = between * (n - 1) + b"\n"
    return found == line * (len(found) // n)
