"""The ends of a file, looked at before all of it is read: a damaged one may be huge.

A file whose copy broke off, or whose disk was full, often has its full length in zeros. Of a short
one all is read.
"""

import os
from typing import BinaryIO

from brenier.io.base import TableError

# So much of a file's beginning and end is looked at (bytes).
END_BYTES = 1 << 16
PARQUET = b"PAR1"
GZIP = b"\x1f\x8b"
# A gzip file ends with a checksum and a length, of which one at least is not zero.
TRAILER_BYTES = 8


def check_text(file: BinaryIO, where: str) -> None:
    """Raise `TableError` if text has a zero byte at its end, as no text has."""
    first, last = ends_of(file)
    if b"\0" in last and len(first) == END_BYTES:
        raise TableError(
            f"Expected text in UTF-8 in {where}; got zero bytes. The file is damaged or of another "
            "kind: save it as CSV in UTF-8, or give it the suffix of its format."
        )


def check_parquet(file: BinaryIO, where: str) -> None:
    """Raise `TableError` if a Parquet file does not begin and end as it should."""
    first, last = ends_of(file)
    if len(first) == END_BYTES and not (first.startswith(PARQUET) and last.endswith(PARQUET)):
        raise TableError(
            f"Expected a Parquet table in {where}; got a damaged file or one of another kind: its "
            "ends are not those of Parquet. Check that its suffix tells its format, and that it is "
            "whole."
        )


def check_gzip(file: BinaryIO, where: str) -> None:
    """Raise `TableError` if a gzip file does not begin and end as it should."""
    first, last = ends_of(file)
    if len(first) == END_BYTES and not (first.startswith(GZIP) and any(last[-TRAILER_BYTES:])):
        raise TableError(
            f"Expected a gzip file in {where}; got a damaged file or one of another kind: its ends "
            "are not those of gzip. Check that its suffix tells its format, and that it is whole."
        )


def ends_of(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file, which is then again at its beginning."""
    first = file.read(END_BYTES)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END_BYTES))
    last = file.read()
    file.seek(0)
    return first, last
