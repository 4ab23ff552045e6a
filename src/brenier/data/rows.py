r"""Rows in a canonical order: equal rows merged, and a split that depends on contents alone.

Each row gets a keyed 128-bit hash of its bytes. Sorting by it makes a fit independent of row
order; merging equal hashes makes an integer weight the same as repetition and a zero weight the
same as absence, to the last bit; and a threshold on it splits off held-out rows so that copies of
a row always fall on the same side. A prefix of the order is a uniformly drawn subset.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Rows(NamedTuple):
    """Distinct rows with weights.

    Attributes
    ----------
    X : (N, n)
        Rows, in the order of their hashes.
    weights : (N,)
        Total weight of each, positive.
    position : (N,)
        The hash as a number in [0, 1), ascending: uniform whatever the rows hold.
    """

    X: Float[np.ndarray, "N n"]
    weights: Float[np.ndarray, " N"]
    position: Float[np.ndarray, " N"]

    def __getitem__(self, where) -> "Rows":
        """Return the rows selected by a slice or a mask."""
        return Rows(self.X[where], self.weights[where], self.position[where])


def canonical_rows(
    X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"] | None, seed: int
) -> Rows:
    """Return the distinct rows of positive weight, in the order of their keyed hashes."""
    weights = np.ones(len(X)) if weights is None else weights
    present = weights > 0
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bytes.
    X, weights = np.ascontiguousarray(X[present] + 0.0), weights[present]
    digests = _digests(X, seed)
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    digests, X, weights = digests[order], X[order], weights[order]
    is_first = np.ones(len(X), dtype=bool)
    is_first[1:] = np.any(digests[1:] != digests[:-1], axis=1)
    first = np.flatnonzero(is_first)
    return Rows(X[first], np.add.reduceat(weights, first), digests[first, 0] * 2.0**-64)


def _digests(X: np.ndarray, seed: int) -> np.ndarray:
    key = int(seed).to_bytes(16, "little", signed=True)
    width = X.shape[1] * X.itemsize
    data = memoryview(X.tobytes())
    joined = b"".join(
        hashlib.blake2b(data[start : start + width], digest_size=16, key=key).digest()
        for start in range(0, len(data), width)
    )
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)
