"""Names of columns: those of a table, and those that columns without names are given."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

# How many names a message lists.
SHOWN = 5


def default_names(n: int, prefix: str = "x") -> list[str]:
    """Return x0, x1, ...: the names of n columns that have none."""
    return [f"{prefix}{i}" for i in range(n)]


def matching(pattern: str, names: Sequence[str]) -> list[int]:
    """Return where the columns stand that fit a pattern: a name, or one with `*` and `?`.

    A name stands for itself; in others `*` stands for any characters and `?` for one. Brackets are
    letters as others, since names of vectors' entries have them.
    """
    if pattern in names:
        return [names.index(pattern)]
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return [j for j, name in enumerate(names) if re.fullmatch(escaped, name, re.DOTALL)]


def suggestion(unknown: Any, names: Iterable[str]) -> str:
    """Return ` Did you mean 'alpha0'?` for a name that is nearly one of `names`; else nothing."""
    by_lower = {name.lower(): name for name in names}
    near = get_close_matches(str(unknown).lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def position_of(column: Any, names: Sequence[str]) -> int:
    """Return where a column stands that is given by its name or its position; -1 for none."""
    if column in names:
        return names.index(column)
    if isinstance(column, str) or not hasattr(column, "__index__"):
        return -1
    position = column.__index__()
    return position if 0 <= position < len(names) else -1


def checked_names(
    metadata: Mapping[str, Any], key: str, n: int, *, different: bool = True
) -> list[str] | None:
    """Return the names of n columns in a file's metadata; None where it says that they have none.

    Raises
    ------
    ValueError
        If there is something else.
    """
    if key not in metadata:
        raise ValueError(f"Expected an entry {key}; got none.")
    names = metadata[key]
    if names is None:
        return None
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not are_names or len(names) != n or (different and len(set(names)) < n):
        raise ValueError(f"Expected {key} of {n} columns; got {names!r:.80}.")
    return names


def checked_columns(columns: Any) -> list[str] | None:
    """Return a choice of columns by names and patterns; raise `ValueError` where it is none."""
    if columns is None:
        return None
    are_names = isinstance(columns, list | tuple) and all(isinstance(c, str) for c in columns)
    if not are_names or not columns:
        raise ValueError(
            f"Expected columns as a list of names or patterns of names; got {columns!r:.80}."
        )
    return list(columns)


def quoted(names: Sequence[str]) -> str:
    """Return the first few names in quotes, and how many more there are."""
    shown = ", ".join(repr(str(name)) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
