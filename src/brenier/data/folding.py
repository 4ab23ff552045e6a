r"""Rows that stand for sets: an angle for all that are whole turns apart, a count for its cell.

A density q of plain rows y is fitted, and x = fold(y) is what the table holds: the angle within one
period, or the whole number nearest to y. The density of the table's rows is then that of all plain
rows that fold to x,

    p(x) = sum_k c_k(x) q(y_k(x)),

over the same angle some turns on (c_k = 1), or over the points of a quadrature of the cell (c_k its
weights). For a fit, every row is spread over some of its plain rows, with weights that sum to its
own; draws are folded.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

from brenier.data.cells import Cells
from brenier.data.circles import Circles

# Plain rows whose density is asked for at once.
MOST_PLAIN_ROWS = 65_536


@dataclass(frozen=True)
class Folding:
    """Which columns are periodic or discrete, and what that makes of rows.

    Attributes
    ----------
    circles : Circles
        The periodic ones.
    cells : Cells
        The discrete ones.
    """

    circles: Circles
    cells: Cells

    @property
    def is_plain(self) -> bool:
        """Whether there are no such columns: every row stands for itself."""
        return not len(self.circles.columns) and not len(self.cells.columns)

    def fold(self, Y: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return the table's rows of plain ones."""
        return self.cells.fold(self.circles.fold(Y))

    def spread(
        self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, "M n"], Float[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """Return plain rows to fit, their weights, and which row each is of."""
        Y, shares, of_cells = self.cells.spread(X, weights)
        Y, shares, of_circles = self.circles.spread(Y, shares)
        return Y, shares, of_cells[of_circles]

    def log_density(
        self, plain: Callable[[np.ndarray], np.ndarray], X: Float[np.ndarray, "N n"]
    ) -> Float[np.ndarray, " N"]:
        """Return log p of rows (nats) from a function that returns that of plain rows."""
        if self.is_plain:
            return plain(X)
        found = np.empty(len(X))
        for part, _, terms in self._parts(plain, X, lambda _: self.cells.quadrature()):
            found[part] = logsumexp(terms, axis=1)
        is_whole = np.all(self.cells.fold(X) == X, axis=1)
        return np.where(is_whole, found, -np.inf)

    def drawn(
        self,
        plain: Callable[[np.ndarray], np.ndarray],
        X: Float[np.ndarray, "N n"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "N n"]:
        """Return for every row a plain one that folds to it, drawn by its share of the density."""
        if self.is_plain:
            return X
        found = np.empty(X.shape)
        for part, Y, terms in self._parts(plain, X, lambda N: self.cells.random_points(N, rng)):
            # The largest of terms with Gumbel noise is a draw by their shares.
            chosen = np.argmax(terms + rng.gumbel(size=terms.shape), axis=1)
            found[part] = Y[np.arange(len(Y)), chosen]
        return found

    def _parts(
        self,
        plain: Callable[[np.ndarray], np.ndarray],
        X: Float[np.ndarray, "N n"],
        points: Callable[[int], tuple[np.ndarray, np.ndarray]],
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield parts of the rows, their plain rows y_k, (M, K, n), and log (c_k q(y_k)), (M, K).

        `points` returns points of that many rows' cells, (M or 1, K, n), and their weights, (K,).
        """
        n_turns = self.circles.n_turns
        step = max(1, MOST_PLAIN_ROWS // (n_turns * len(self.cells.quadrature()[1])))
        for start in range(0, len(X), step):
            part = slice(start, start + step)
            offsets, weights = points(len(X[part]))
            Y = self.circles.plain_rows(X[part])[:, :, None, :] + offsets[:, None, :, :]
            Y = Y.reshape(len(Y), -1, X.shape[1])
            values = plain(Y.reshape(-1, X.shape[1])).reshape(Y.shape[:2])
            yield part, Y, values + np.tile(np.log(weights), n_turns)
