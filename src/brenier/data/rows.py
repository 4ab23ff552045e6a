r"""Rows in a canonical order: equal rows merged, each in a place that its contents alone give.

Each row gets a keyed 128-bit hash of its cells in ascending order, so that the order of columns
does not matter. Sorting by it makes a fit independent of row order; merging equal rows makes an
integer weight the same as repetition and a zero weight the same as absence, to the last bit; and a
threshold on it (`brenier.data.split`) holds out rows so that copies of a row always fall on the
same side. A prefix of the order is a uniformly drawn subset.

Of chains, whose neighbours are alike, blocks stand in the place of rows: they are what is hashed,
ordered and held out (`brenier.data.chains`), and equal rows are merged within one of them only.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from brenier.data.chains import Blocks
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
    block : (N,)
        Which rows are not independent of each other; a number of its own for every row of a table
        of independent ones.
    inefficiency : float
        How many rows are worth one that is independent of the others.
    """

    X: Float[np.ndarray, "N d"]
    weights: Float[np.ndarray, " N"]
    position: Float[np.ndarray, " N"]
    block: Int[np.ndarray, " N"] | None = None
    inefficiency: float = 1.0

    def __getitem__(self, where) -> "WeightedRows":
        """Return the rows selected by a slice or a mask."""
        block = None if self.block is None else self.block[where]
        return self._replace(
            X=self.X[where], weights=self.weights[where], position=self.position[where], block=block
        )

    @property
    def effective_size(self) -> float:
        """How many independent rows of equal weight would tell as much (Kish 1965)."""
        return effective_size(self.weights) / self.inefficiency

    def at(self, X: Float[np.ndarray, "N k"]) -> "WeightedRows":
        """Return the same rows in other coordinates."""
        return self._replace(X=X)

    def mean(self, values: Float[np.ndarray, " N"]) -> float:
        """Return the weighted mean of one value a row."""
        return float(np.average(values, weights=self.weights))

    @property
    def blocks(self) -> Int[np.ndarray, " N"]:
        """Every row's block, a number of its own for every independent row."""
        return np.arange(len(self.X)) if self.block is None else self.block


def together(parts: Sequence[WeightedRows]) -> WeightedRows:
    """Return the rows of several parts of one table, one part after the other."""
    return parts[0]._replace(
        X=np.concatenate([part.X for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        block=None if parts[0].block is None else np.concatenate([part.blocks for part in parts]),
    )


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
    X: Float[np.ndarray, "N d"],
    weights: Float[np.ndarray, " N"] | None,
    seed: int,
    blocks: Blocks | None = None,
) -> WeightedRows:
    """Return the distinct rows of positive weight, in the order of their keyed hashes.

    Parameters
    ----------
    X : (N, d)
        Rows.
    weights : (N,) or None
        Non-negative weights; None: all alike.
    seed : int
        Key of the hashes.
    blocks : Blocks or None
        Which rows belong together; None: the rows are independent.
    """
    weights = np.ones(len(X)) if weights is None else weights
    present = weights > 0
    # Adding zero turns -0.0 into 0.0, which compares equal but has other bytes.
    X, weights = np.ascontiguousarray(X[present] + 0.0), weights[present]
    digests = hashes(np.sort(X, axis=1), seed)
    if blocks is None:
        return _merged(X, weights, digests, None)
    places = _places(blocks.block[present], digests)
    rows = _merged(X, weights, digests, places)
    # Repeats that are merged count as what they were: their chain's time has them in it.
    worth = effective_size(weights) / blocks.time
    return rows._replace(inefficiency=effective_size(rows.weights) / worth)


def _merged(
    X: np.ndarray, weights: np.ndarray, digests: np.ndarray, places: np.ndarray | None
) -> WeightedRows:
    """Return rows in the order of places and then of hashes, equal neighbours merged."""
    own = np.zeros(len(X), dtype=np.int64) if places is None else places
    order = _order(X, digests)
    order = order[np.argsort(own[order], kind="stable")]
    digests, X, weights, own = digests[order], X[order], weights[order], own[order]
    is_first = np.ones(len(X), dtype=bool)
    is_first[1:] = np.any(X[1:] != X[:-1], axis=1) | (own[1:] != own[:-1])
    first = np.flatnonzero(is_first)
    summed = np.add.reduceat(weights, first)
    if places is None:
        return WeightedRows(X[first], summed, digests[first, 0] * 2.0**-64)
    block = own[first]
    return WeightedRows(X[first], summed, (block + 0.5) / (block[-1] + 1), block)


def _places(block: Int[np.ndarray, " N"], digests: np.ndarray) -> Int[np.ndarray, " N"]:
    """Return every row's block, numbered in an order that the blocks' contents alone give."""
    _, own = np.unique(block, return_inverse=True)
    # Unsigned sums wrap around: a hash of the rows that does not know their order.
    sums = np.zeros((np.max(own) + 1, 2), dtype=np.uint64)
    np.add.at(sums, own, digests)
    place = np.empty(len(sums), dtype=np.int64)
    place[np.lexsort((sums[:, 1], sums[:, 0]))] = np.arange(len(sums))
    return place[own]


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


def hashes(X: Float[np.ndarray, "N d"], seed: int) -> np.ndarray:
    """Return a keyed hash of every row's bytes as two whole numbers of 64 bits, (N, 2)."""
    key = int(seed).to_bytes(16, "little", signed=True)
    width = X.shape[1] * X.itemsize
    data = memoryview(X.tobytes())
    joined = b"".join(
        hashlib.blake2b(data[start : start + width], digest_size=16, key=key).digest()
        for start in range(0, len(data), width)
    )
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)
