"""Columns with one value in all rows: no variables of a density, but remembered with it.

They are in the attribute `constants_`, where a table had such columns and they were left out.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

KEY = "constants"
Constants = tuple[tuple[str, float], ...]


def constants_of(estimator: Any) -> Constants:
    """Return names and values of the columns that were left out; none of most."""
    return getattr(estimator, "constants_", ())


def remember(estimator: Any, constants: Sequence[tuple[str, float]]) -> None:
    """Keep names and values of the columns that were left out."""
    if constants:
        estimator.constants_ = tuple(constants)


def constants_to_file(estimator: Any) -> dict[str, Any]:
    """Return what a file's metadata hold of them: nothing where there are none."""
    constants = constants_of(estimator)
    return {KEY: [[name, value] for name, value in constants]} if constants else {}


def constants_from_file(metadata: Mapping[str, Any]) -> Constants:
    """Return what a file's metadata hold of them.

    Raises
    ------
    ValueError
        If they are no names with finite numbers.
    """
    stored = metadata.get(KEY, [])
    if not isinstance(stored, list) or not all(map(_is_constant, stored)):
        raise ValueError(f"Expected names and numbers as {KEY}; got {stored!r:.80}.")
    return tuple((name, float(value)) for name, value in stored)


def _is_constant(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != len(("name", "value")):
        return False
    name, value = entry
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(name, str) and is_number and abs(value) <= sys.float_info.max
