r"""Rows in a canonical order: equal rows merged, each in a place that its contents alone give.

Each row gets a keyed 128-bit hash of its cells in ascending order, so that the order of columns
does not matter. Sorting by it makes a fit independent of row order; merging equal rows makes an
integer weight the same as repetition and a zero weight the same as absence, to the last bit; and a
threshold on it (`brenier.data.split`) holds out rows so that copies of a row always fall on the
same side. A prefix of the order is a uniformly drawn subset.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.data.column_order import column_order
from brenier.data.weights import effective_size


class WeightedRows(NamedTuple):
    """Distinct rows with weights.

    Attributes
    ----------
    X : (N, d)
        Rows, in the order of their hashes.
    weights : (N,)
        Total weight of each, positive.
    position : (N,)
        The hash as a number in [0, 1), ascending: uniform whatever the rows hold. Rows of the
        same cells in other columns share it.
    """

    X: Float[np.ndarray, "N d"]
    weights: Float[np.ndarray, " N"]
    position: Float[np.ndarray, " N"]

    def __getitem__(self, where) -> "WeightedRows":
        """Return the rows selected by a slice or a mask."""
        return WeightedRows(self.X[where], self.weights[where], self.position[where])

    def at(self, X: Float[np.ndarray, "N k"]) -> "WeightedRows":
        """Return the same rows in other coordinates."""
        return self._replace(X=X)

    @property
    def effective_size(self) -> float:
        """Kish's number of rows of equal weight that are worth as much."""
        return effective_size(self.weights)

    def mean(self, values: Float[np.ndarray, " N"]) -> float:
        """Return the weighted mean of one value a row."""
        return float(np.average(values, weights=self.weights))


class Split(NamedTuple):
    """Rows to train on and rows to hold out, if any.

    Attributes
    ----------
    train : WeightedRows
        What the loss is of.
    heldout : WeightedRows or None
        What decides when a run stops and which model is chosen.
    """

    train: WeightedRows
    heldout: WeightedRows | None = None


def canonical_rows(
    X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"] | None, seed: int
) -> WeightedRows:
    """Return the distinct rows of positive weight, in the order of their keyed hashes."""
    weights = np.ones(len(X)) if weights is None else weights
    present = weights > 0
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bytes.
    X, weights = np.ascontiguousarray(X[present] + 0.0), weights[present]
    digests = _digests(np.sort(X, axis=1), seed)
    order = _order(X, digests)
    digests, X, weights = digests[order], X[order], weights[order]
    is_first = np.ones(len(X), dtype=bool)
    is_first[1:] = np.any(X[1:] != X[:-1], axis=1)
    first = np.flatnonzero(is_first)
    return WeightedRows(X[first], np.add.reduceat(weights, first), digests[first, 0] * 2.0**-64)


def _order(X: np.ndarray, digests: np.ndarray) -> np.ndarray:
    """Return the order of rows by their hashes, and by their cells where hashes are equal."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    same = np.all(digests[order[1:]] == digests[order[:-1]], axis=1)
    if not np.any(X[order[1:]][same] != X[order[:-1]][same]):
        return order
    # Rows of the same cells in other columns.
    tied = np.zeros(len(X), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    among = order[tied]
    cells = X[among][:, column_order(X)[::-1]].T
    order[tied] = among[np.lexsort((*cells, digests[among, 1], digests[among, 0]))]
    return order


def _digests(X: np.ndarray, seed: int) -> np.ndarray:
    key = int(seed).to_bytes(16, "little", signed=True)
    width = X.shape[1] * X.itemsize
    data = memoryview(X.tobytes())
    joined = b"".join(
        hashlib.blake2b(data[start : start + width], digest_size=16, key=key).digest()
        for start in range(0, len(data), width)
    )
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)
