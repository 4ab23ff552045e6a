"""Standard streams that are closed, full or gone: what is said there ends no work."""

import io
import os
from contextlib import suppress
from typing import Any, TextIO


class Unfailing(io.TextIOBase):
    """A stream for who would raise where it cannot be written: what cannot be is dropped.

    Parameters
    ----------
    stream : text stream or None
        What is written to; None for one that is closed.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = io.StringIO() if stream is None else stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with suppress(ValueError):
            return self._stream.isatty()
        return False

    @property
    def encoding(self) -> Any:
        """The stream's, which says what a terminal can show."""
        return self._stream.encoding


def occupy_closed_descriptors() -> None:
    """Open the null device as those of the first three descriptors that are closed.

    The next file that is opened would have the number instead: what libraries in C say on standard
    error would be written into a model.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)
