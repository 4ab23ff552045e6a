"""Names of columns: those of a table, and those that columns without names are given."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

# How many names a message lists.
SHOWN = 5


def default_names(n: int, prefix: str = "x") -> list[str]:
    """Return x0, x1, ...: the names of n columns that have none."""
    return [f"{prefix}{i}" for i in range(n)]


def names_of(table: Any) -> list[str] | None:
    """Return the names of a table's columns, or a series' own; None where there are none."""
    columns = getattr(table, "columns", None)
    if columns is not None:
        return [str(name) for name in columns]
    name = getattr(table, "name", None)
    return [str(name)] if name else None


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


def quoted(names: Sequence[str]) -> str:
    """Return the first few names in quotes, and how many more there are."""
    shown = ", ".join(repr(str(name)) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
