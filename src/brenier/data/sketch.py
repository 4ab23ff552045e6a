r"""Which rows a model has seen, without keeping them: the least of their hashes, and their range.

Of uniform hashes of N distinct rows the k least are kept (a bottom-k sketch [1]_). Another row
whose hash lies below the largest of them is one of those rows if its hash is among them, and but
for a chance of 2^-53 only then; so the share of seen rows in a table is estimated from those below.
The salt is a hash of the whole table, whatever the order of its rows.

References
----------
.. [1] E. Cohen, H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt64

from brenier.data.column_order import mixed

# Hashes kept: shares of seen rows are then right to some per cent.
KEPT = 1024
# Bits of a whole number of 64 that are left out, so that a float holds the others exactly.
SPARE, SCALE = np.uint64(11), 2.0**-53
LARGEST_SALT = 2**64 - 1


@dataclass(frozen=True)
class Sketch:
    """The least hashes of a table's rows.

    Attributes
    ----------
    least : (k,)
        In [0, 1), ascending.
    salt : int
        Below 2^64.
    low, high : (d,)
        The least and the largest cell of every column.
    """

    least: Float[np.ndarray, " k"]
    salt: int
    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]

    @property
    def limit(self) -> float:
        """Below which all hashes were kept."""
        return float(self.least[-1]) if len(self.least) >= KEPT else 1.0

    def seen(self, X: Float[np.ndarray, "N d"]) -> tuple[int, int]:
        """Return how many rows could be recognised if they were seen, and how many are."""
        found = _salted(prints(X), self.salt)
        could = found <= self.limit
        return int(could.sum()), int(np.isin(found[could], self.least).sum())


def sketch_of(X: Float[np.ndarray, "N d"]) -> Sketch:
    """Return the sketch of a table's rows."""
    found = prints(X)
    salt = int(found.sum(dtype=np.uint64))
    least = np.unique(_salted(found, salt))[:KEPT]
    return Sketch(least, salt, X.min(axis=0), X.max(axis=0))


def prints(X: Float[np.ndarray, "N d"]) -> UInt64[np.ndarray, " N"]:
    """Return a number for every row that its cells in their order give."""
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bytes.
    bits = np.ascontiguousarray(X + 0.0).view(np.uint64)
    found = np.zeros(len(X), dtype=np.uint64)
    for column in bits.T:
        found = mixed(found + mixed(column + np.uint64(1)))
    return found


def _salted(found: UInt64[np.ndarray, " N"], salt: int) -> Float[np.ndarray, " N"]:
    return (mixed(found ^ np.uint64(salt)) >> SPARE) * SCALE
