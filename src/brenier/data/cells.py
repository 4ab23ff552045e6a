r"""Discrete columns: counts, ages in years, marks.

A whole number x stands for the cell [x - 1/2, x + 1/2) of a density q of real numbers, and has the
probability of its cell,

    P(x) = integral of q over the cell,

exactly, not a bound of it [1]_. For a fit, a row is spread evenly over its cell; draws are rounded.

References
----------
.. [1] B. Uria, I. Murray, H. Larochelle, "RNADE: the real-valued neural autoregressive
       density-estimator", 2013 (dequantisation); L. Theis, A. van den Oord, M. Bethge, "A note on
       the evaluation of generative models", 2016, section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.data.names import position_of, quoted
from brenier.data.rows import hashes
from brenier.patterns import suggestion

# Points over which a row is spread, at least, and at most where it stands for many.
LEAST_POINTS, MOST_POINTS = 1, 32
# Points of the quadrature of a cell along a column, of one column and of two; of more columns,
# points of a quasi-random sequence.
GAUSS_POINTS = {1: 16, 2: 8}
QUASI_RANDOM_POINTS = 256


@dataclass(frozen=True)
class Cells:
    """Discrete columns of a table, of n.

    Attributes
    ----------
    columns : (q,)
        Their places among all columns.
    n : int
        Number of all columns.
    seed : int
        Of the places in their cells over which rows are spread.
    """

    columns: Int[np.ndarray, " q"]
    n: int
    seed: int = 0

    def fold(self, Y: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return rows with whole numbers in the discrete columns."""
        X = Y.copy()
        X[:, self.columns] = np.floor(Y[:, self.columns] + 0.5)
        return X

    def spread(
        self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, "M n"], Float[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """Return distinct rows spread over their cells; their weights; which row each is of.

        Rows of great weight are spread over more points: in tables that are all discrete these
        stand for many. The places depend on a row's contents alone.
        """
        if not len(self.columns):
            return X, weights, np.arange(len(X))
        n_points = np.clip(np.ceil(weights), LEAST_POINTS, MOST_POINTS).astype(int)
        source = np.repeat(np.arange(len(X)), n_points)
        ranks = np.concatenate([np.arange(k) for k in n_points])
        Y = X[source]
        Y[:, self.columns] += self._places(X)[source] + ranks[:, None] * _irrationals(self._q)
        Y[:, self.columns] -= np.floor(Y[:, self.columns] - X[source][:, self.columns] + 0.5)
        return Y, (weights / n_points)[source], source

    def dithered(
        self, X: Float[np.ndarray, "N n"], rng: np.random.Generator
    ) -> Float[np.ndarray, "N n"]:
        """Return rows anywhere in their cells."""
        Y = X.copy()
        Y[:, self.columns] += rng.uniform(-0.5, 0.5, size=(len(X), self._q))
        return Y

    def among(self, columns: Int[np.ndarray, " m"]) -> "Cells":
        """Return those of some columns, by their places among these."""
        places = np.flatnonzero(np.isin(columns, self.columns))
        return Cells(places, len(columns), self.seed)

    def only(self, columns: Int[np.ndarray, " m"]) -> "Cells":
        """Return the same table's, only those of some columns discrete."""
        return Cells(np.intersect1d(self.columns, columns), self.n, self.seed)

    def quadrature(self) -> tuple[Float[np.ndarray, "1 K n"], Float[np.ndarray, " K"]]:
        """Return points of a cell around zero, and weights that sum to one."""
        points, weights = _quadrature(self._q)
        return self._offsets(points[None]), weights

    def random_points(
        self, n_rows: int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "N K n"], Float[np.ndarray, " K"]]:
        """Return points that fill a cell evenly, shifted anew for every row, and weights."""
        n_points = MOST_POINTS if self._q else 1
        steps = np.arange(n_points)[:, None] * _irrationals(self._q)
        points = np.mod(rng.random((n_rows, 1, self._q)) + steps, 1.0) - 0.5
        return self._offsets(points), np.full(n_points, 1.0 / n_points)

    def _offsets(self, points: Float[np.ndarray, "M K q"]) -> Float[np.ndarray, "M K n"]:
        offsets = np.zeros((*points.shape[:2], self.n))
        offsets[:, :, self.columns] = points
        return offsets

    @property
    def _q(self) -> int:
        return len(self.columns)

    def _places(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N q"]:
        """Return numbers in [0, 1) that every row's contents give."""
        first, second = (hashes(X, self.seed) * 2.0**-64).T
        return np.mod(first[:, None] + second[:, None] * np.arange(self._q), 1.0)


def discrete_columns(discrete: Any, names: list[str]) -> np.ndarray:
    """Return the places of discrete columns given by names or places.

    Raises
    ------
    ValueError
        If a column is unknown.
    """
    is_list = isinstance(discrete, Sequence | np.ndarray) and not isinstance(discrete, str)
    if discrete is not None and not is_list:
        raise ValueError(f"Expected discrete as a list of columns; got {discrete!r:.80}.")
    places = []
    for key in () if discrete is None else discrete:
        place = position_of(key, names)
        if place < 0:
            raise ValueError(
                f"Expected discrete columns of the table ({quoted(names)}); got {key!r}."
                f"{suggestion(key, names)}"
            )
        places.append(place)
    return np.array(sorted({*places}), dtype=int)


def check_whole(X: Float[np.ndarray, "N n"], columns: np.ndarray, names: list[str]) -> None:
    """Raise `ValueError` that names rows of discrete columns that are no whole numbers."""
    for c in columns.tolist():
        rows = np.flatnonzero(X[:, c] != np.floor(X[:, c]))
        if len(rows):
            shown = ", ".join(f"row {row}: {X[row, c]:g}" for row in rows[:5])
            raise ValueError(
                f"Expected whole numbers in the discrete column {names[c]!r}; got {len(rows)} rows "
                f"of others ({shown}; rows count from 0). Scale the column so that its steps are "
                "one, or leave it out of discrete."
            )


def _irrationals(q: int) -> Float[np.ndarray, " q"]:
    """Return steps whose multiples fill the unit cube of q dimensions evenly (Roberts 2018)."""
    root = 2.0
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (q + 1))
    return np.mod(root ** -np.arange(1.0, q + 1), 1.0)


def _quadrature(q: int) -> tuple[Float[np.ndarray, "K q"], Float[np.ndarray, " K"]]:
    """Return points of the cube around zero with sides of one, and weights that sum to one."""
    if q == 0:
        return np.zeros((1, 0)), np.ones(1)
    if q not in GAUSS_POINTS:
        ranks = np.arange(1.0, QUASI_RANDOM_POINTS + 1)[:, None]
        points = np.mod(0.5 + ranks * _irrationals(q), 1.0) - 0.5
        return points, np.full(len(points), 1.0 / len(points))
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS[q])
    grids = np.meshgrid(*[nodes / 2.0] * q, indexing="ij")
    products = np.prod(np.meshgrid(*[weights / 2.0] * q, indexing="ij"), axis=0)
    return np.stack([grid.ravel() for grid in grids], axis=1), products.ravel()
