"""What a text file holds before its rows: comments, names of columns, and how it is separated.

Lines that begin with # are comments, before, between and after the rows. The last one before the
rows gives the columns' names where no line of the table does, as `np.savetxt` writes them.
"""

import codecs
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brenier.io.base import TableError, counted, default_names, listed
from brenier.io.dialect import BLANKS, COMMAS, COMMENT, Dialect, dialect_of, split
from brenier.io.regular import open_regular
from brenier.io.source import AbstractSource

# Excel's line before the names, which tells it what separates values.
EXCEL = re.compile(rb'\A"?sep=[^\n]"?\r?\n')
# So many lines at least are looked at.
LEAST_LINES = 3
# No list of parameters is longer (bytes).
MOST_NAMES_BYTES = 1 << 20
# The first columns of a chain whose parameters' names stand in a file of their own.
CHAIN_COLUMNS = ("weight", "minuslogpost")
# Names that would be formulas to spreadsheets, or comments to us, also behind marks of text.
FORMULA = re.compile(r"'*[=+\-@#]")


@dataclass(frozen=True)
class Layout:
    """How to read a text file.

    Attributes
    ----------
    names : tuple of str
        The columns' names, empty ones included.
    has_header : bool
        Whether the first line of the table holds them.
    start : int, or None
        The number of lines before the first row, where all there is above it is a header.
    comments : tuple of str
        The lines of comments among the first and last lines, without their mark.
    notes : tuple of str
        What was taken for what.
    """

    dialect: Dialect
    names: tuple[str, ...]
    has_header: bool
    start: int | None
    comments: tuple[str, ...]
    notes: tuple[str, ...]


def layout_of(source: AbstractSource) -> Layout:
    """Return how to read a text file, from its ends."""
    head = _head(source)
    text = content(head).decode(errors="replace")
    lines = list(io.StringIO(text, newline="\n"))
    table = [line for line in lines if line.strip() and not _is_comment(line)]
    dialect = dialect_of(table)
    first = next(iter(split(table, dialect.separator, 1)), None)
    comments = _comments(lines) + _comments(_tail(source).split("\n"))
    if first is None:
        # Left to who reads the whole file to refuse.
        return Layout(COMMAS, (), has_header=True, start=None, comments=comments, notes=())
    has_header = not dialect.is_data(first)
    if has_header:
        names, notes = _header(first, dialect), ()
    else:
        names, notes = _names_elsewhere(source, lines, table, first, dialect)
    # A header of one line, quoted or not.
    plain = split(table[:1], dialect.separator, 1) == [first]
    plain = plain and dialect.separator != BLANKS and not comments
    plain = plain and content(head) == head
    start = lines.index(table[0]) + has_header if plain else None
    notes = (*dialect.notes, *notes)
    return Layout(dialect, names, has_header, start, comments, notes)


def content(data: bytes) -> bytes:
    """Return the bytes of a text file without the marks at its beginning."""
    return EXCEL.sub(b"", data.removeprefix(codecs.BOM_UTF8))


def _head(source: AbstractSource) -> bytes:
    """Return the beginning of a file in whole lines."""
    if not source.is_long:
        return source.first
    whole, newline, _ = source.first.rpartition(b"\n")
    return whole + newline if whole.count(b"\n") >= LEAST_LINES else source.read()


def _tail(source: AbstractSource) -> str:
    """Return the end of a file that is not part of its beginning, in whole lines."""
    if not source.is_long:
        return ""
    return source.last.partition(b"\n")[2].decode(errors="replace")


def _is_comment(line: str) -> bool:
    return line.lstrip(" \t").startswith(COMMENT)


def _comments(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.strip().lstrip(COMMENT).strip() for line in lines if _is_comment(line))


def _header(fields: Sequence[str], dialect: Dialect) -> tuple[str, ...]:
    """Return the names in the fields of a header."""
    if dialect.separator == BLANKS:
        fields = [field.strip("\"',") for field in fields]
    return tuple(map(_as_it_was, fields))


def _as_it_was(name: str) -> str:
    """Return the name that writing made harmless to spreadsheets; others as they are."""
    return name[1:] if name.startswith("'") and FORMULA.match(name) else name


def _names_elsewhere(
    source: AbstractSource,
    lines: Sequence[str],
    table: Sequence[str],
    first: Sequence[str],
    dialect: Dialect,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names that are in no line of the table, and what to say of them."""
    n = len(first)
    above = [c for c in _comments(lines[: lines.index(table[0])]) if c]
    if above:
        names = _commented(above[-1], n, dialect)
        if names:
            # Of a chain it is said what its columns are.
            is_chain = names[:2] == CHAIN_COLUMNS
            return names, () if is_chain else (
                f"names of columns from the comment {above[-1]!r:.80}",
            )
        _check_chain(above[-1], n, source.where)
    beside = _paramnames(source.path)
    if beside is not None:
        file, parameters = beside
        names = (*CHAIN_COLUMNS, *parameters)
        _check_fit(names, n, f"{file.name} beside {source.where}", source.where)
        return names, (f"names of columns from {file.name}",)
    if n > 1 and list(first) == [str(j) for j in range(n)]:
        raise TableError(
            f"Expected column names or a row of data in the first line of {source.where}; got "
            f"{dialect.reads.join(first)!r}, which can be either. Name the columns with letters, "
            "or put a line of such names above."
        )
    return default_names(n), _could_be_names(first, table, dialect)


def _could_be_names(
    first: Sequence[str], table: Sequence[str], dialect: Dialect
) -> tuple[str, ...]:
    """Return what is said of a first row of different whole numbers above others."""
    integer = re.compile(r"\d+")
    rest = [cell for row in split(table[1:], dialect.separator, LEAST_LINES) for cell in row]
    like_names = all(map(integer.fullmatch, first)) and len(set(first)) == len(first)
    if len(first) == 1 or not like_names or not rest or all(map(integer.fullmatch, rest)):
        return ()
    return (
        "its first line holds numbers and was taken as a row, not as names, which begin with a "
        "letter",
    )


def _commented(comment: str, n: int, dialect: Dialect) -> tuple[str, ...] | None:
    """Return the n names in a comment, if it holds so many."""
    for separator in (dialect.separator, ",", BLANKS):
        fields = next(iter(split([comment], separator, 1)), [])
        names = _header(fields, dialect)
        if len(names) == n and all(names) and len(set(names)) == n and not dialect.is_data(names):
            return names
    return None


def _check_chain(comment: str, n: int, where: str) -> None:
    """Raise `TableError` for a chain's line of names that has not one for each column."""
    names = comment.replace(",", " ").split()
    if tuple(names[:2]) == CHAIN_COLUMNS:
        _check_fit(names, n, f"its line of names ({listed(names)})", where)


def _check_fit(names: Sequence[str], n: int, origin: str, where: str) -> None:
    if len(names) != n:
        raise TableError(
            f"Expected {counted(len(names), 'column')} in {where}, as {origin} says, weight and "
            f"minus log-posterior first; got {n}. Give the names that belong to this chain."
        )


def _paramnames(path: Path | None) -> tuple[Path, tuple[str, ...]] | None:
    """Return the file of parameters' names beside a chain, and the names, if there is one."""
    if path is None:
        return None
    roots = [path.with_suffix(""), path.with_name(re.sub(r"[._]\d+$", "", path.stem))]
    for root in roots:
        file = root.with_name(f"{root.name}.paramnames")
        try:
            with open_regular(file) as opened:
                text = opened.read(MOST_NAMES_BYTES).decode(errors="replace")
        except OSError:
            continue
        # GetDist marks derived parameters with a star.
        names = [line.split()[0].rstrip("*") for line in text.splitlines() if line.strip()]
        return file, tuple(names)
    return None
