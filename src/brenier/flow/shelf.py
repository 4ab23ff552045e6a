"""The named arrays of a file, taken one by one: each must be there and be what it is taken for.

A file's checksum says that it is as it was written, not that a flow can be made of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# How far the products of orthonormal rows may be from those of the identity.
ROUNDING = 1e-6
# How far a sum of weights may be from one.
ROUNDING_OF_SUMS = 1e-9


@dataclass(frozen=True)
class Law:
    """What the entries of an array must be: in words, and whether they are."""

    words: str
    holds: Callable[[np.ndarray], Any]


def sum_to_one(*sums: float) -> bool:
    """Return whether sums of weights are one, up to their rounding."""
    return bool(np.allclose(sums, 1.0, rtol=0.0, atol=ROUNDING_OF_SUMS))


def _are_orthonormal(rows: np.ndarray) -> bool:
    return np.allclose(rows @ rows.T, np.eye(len(rows)), rtol=0.0, atol=ROUNDING)


def _is_triangular(matrix: np.ndarray) -> bool:
    return bool((np.diag(matrix) > 0).all()) and np.array_equal(matrix, np.tril(matrix))


def _ascend(columns: np.ndarray) -> bool:
    bare = np.isnan(columns).all(axis=0)
    kept = columns[:, ~bare]
    return bool(np.isfinite(kept).all() and (np.diff(kept, axis=0) >= 0).all())


NUMBERS = Law("no NaN", lambda a: not np.isnan(a).any())
FINITE = Law("finite numbers", lambda a: np.isfinite(a).all())
POSITIVE = Law("finite positive numbers", lambda a: np.isfinite(a).all() and (a > 0).all())
NONNEGATIVE = Law("finite numbers >= 0", lambda a: np.isfinite(a).all() and (a >= 0).all())
COUNTS = Law("positive whole numbers", lambda a: ((a >= 1) & (a == np.floor(a))).all())
SCALES = Law("positive numbers, or infinity", lambda a: (a > 0).all())
SIGNS = Law("1, -1 or 0", lambda a: np.isin(a, (-1.0, 0.0, 1.0)).all())
ASCENDING = Law("columns that ascend, or hold NaN alone", lambda a: _ascend(a))
ORTHONORMAL = Law("orthonormal rows", lambda a: np.isfinite(a).all() and _are_orthonormal(a))
TRIANGULAR = Law(
    "a lower triangular matrix with a positive diagonal",
    lambda a: np.isfinite(a).all() and _is_triangular(a),
)


def check_triangular(matrices: np.ndarray, name: str) -> None:
    """Raise `ValueError` unless every matrix is lower triangular with a positive diagonal."""
    if not all(map(TRIANGULAR.holds, matrices)):
        raise ValueError(f"Expected {TRIANGULAR.words} as each of {name}; got others.")


class Shelf:
    """Arrays by name, and which of them were taken.

    Parameters
    ----------
    arrays : mapping from str to array
        All of them.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._left = dict(arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def length(self, name: str, *, least: int = 1) -> int:
        """Return the length of an array, which must have some."""
        shape = self._there(name).shape
        if not shape or shape[0] < least:
            raise ValueError(f"Expected {name} of length {least} at least; got the shape {shape}.")
        return shape[0]

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        """Return the shape of an array of so many axes, none of them empty."""
        shape = self._there(name).shape
        if len(shape) != rank or min(shape) < 1:
            raise ValueError(f"Expected {name} of {rank} axes, none empty; got the shape {shape}.")
        return shape

    def take(self, name: str, *shape: int, law: Law = FINITE) -> np.ndarray:
        """Take an array of float64 off.

        Parameters
        ----------
        name : str
            Its name.
        *shape : int
            Its shape.
        law : Law
            What its entries must be.

        Raises
        ------
        ValueError
            If it is not there, or something else.
        """
        array = self._there(name)
        if array.dtype != np.float64 or array.shape != shape:
            raise ValueError(
                f"Expected {name} of shape {shape}, float64; got {array.shape}, {array.dtype}."
            )
        if not law.holds(array):
            raise ValueError(f"Expected {law.words} in {name}; got others.")
        del self._left[name]
        return array

    def part(self, prefix: str) -> "Shelf":
        """Take off all arrays whose names begin so, as a shelf of their own without that."""
        names = [name for name in self._left if name.startswith(prefix)]
        return Shelf({name.removeprefix(prefix): self._left.pop(name) for name in names})

    def end(self) -> None:
        """Raise `ValueError` if arrays are left that nobody took."""
        if self._left:
            raise ValueError(f"Expected no other arrays; got {', '.join(sorted(self._left))}.")

    def _there(self, name: str) -> np.ndarray:
        if name not in self._left:
            raise ValueError(f"Expected the array {name}; got none.")
        return self._left[name]
