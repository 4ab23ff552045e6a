"""Names of columns: those of a table, and those that columns without names are given."""

from collections.abc import Mapping, Sequence
from typing import Any

# How many names a message lists.
SHOWN = 5


def default_names(n: int, prefix: str = "x") -> list[str]:
    """Return x0, x1, ...: the names of n columns that have none."""
    return [f"{prefix}{i}" for i in range(n)]


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
