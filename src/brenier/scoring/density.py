"""Densities of rows: what a model file holds, scored with NumPy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from brenier.scoring.inverse import invert
from brenier.scoring.potential import Potential
from brenier.scoring.preprocessing import LOG_2_PI, Preprocessing, Tail

# Rows that are worked on at once, and entries of their Hessians: no number depends on them.
BATCH, CELLS = 1024, 1 << 25


@dataclass(frozen=True)
class Flow:
    """Data -> preprocessing -> gradients of potentials (-> tail) -> standard normal.

    Attributes
    ----------
    preprocessing : Preprocessing
        What comes before.
    potentials : sequence of Potential
        In the order their gradients are applied.
    tail : Tail or None
        What z is mapped by at last.
    """

    preprocessing: Preprocessing
    potentials: Sequence[Potential]
    tail: Tail | None

    @property
    def n(self) -> int:
        """Number of columns, the context's not counted."""
        return self.preprocessing.n

    @property
    def d(self) -> int:
        """Number of columns of a row, the context's with it."""
        return self.n + len(self.preprocessing.context_order)

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p of rows (N, d) in nats; minus infinity outside the bounds."""
        return in_batches(self._log_density, X)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the images of rows (N, d); NaN outside the bounds."""
        return in_batches(self._transform, X)

    def inverse(self, Z: np.ndarray) -> np.ndarray:
        """Return the rows whose images are Z, (N, n) then context; NaN where none was found."""
        return in_batches(self._inverse, Z)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            Y, log_det = self.preprocessing.forward(X)
            Z, more = self._image(Y)
            value = -0.5 * np.sum(Z * Z, axis=1) - 0.5 * self.n * LOG_2_PI + more + log_det
        counts = np.isfinite(Z).all(axis=1) & np.isfinite(value) & self.preprocessing.inside(X)
        return np.where(counts, value, -np.inf)

    def _transform(self, X: np.ndarray) -> np.ndarray:
        Z, _ = self._image(self.preprocessing.forward(X)[0])
        inside = self.preprocessing.inside(X)[:, None]
        return np.where(inside, self.preprocessing.images(Z), np.nan)

    def _inverse(self, Z: np.ndarray) -> np.ndarray:
        C = self.preprocessing.context(Z[:, self.n :])
        Y = self.preprocessing.of_images(Z[:, : self.n])
        Y = Y if self.tail is None else self.tail.inverse(Y)
        found = np.ones(len(Y), bool)
        for potential in reversed(self.potentials):
            Y, converged = invert(potential, Y, C)
            found &= converged
        return np.where(found[:, None], self.preprocessing.inverse(Y, C), np.nan)

    def _image(self, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return z of preprocessed rows and the map's log det there."""
        C, log_det = Y[:, self.n :], np.zeros(len(Y))
        for potential in self.potentials:
            _, Z, A = potential.jet(Y)
            log_det += np.linalg.slogdet(A)[1]
            Y = np.concatenate([Z, C], axis=1)
        Z = Y[:, : self.n]
        if self.tail is None:
            return Z, log_det
        Z, more = self.tail.forward(Z)
        return Z, log_det + more


@dataclass(frozen=True)
class Joint:
    """The density of all columns, as `ConvexPotentialFlow` has it.

    Attributes
    ----------
    flow : Flow
        The flow.
    columns : list of str or None
        Their names, if the rows that were fitted had any.
    """

    flow: Flow
    columns: list[str] | None

    def score_samples(self, X: Any) -> np.ndarray:
        """Return log p of rows (N, n) in nats; minus infinity outside the bounds."""
        return self.flow.log_density(checked(X, self.flow.n, self.columns))

    def transform(self, X: Any) -> np.ndarray:
        """Return the images of rows (N, n); NaN outside the bounds."""
        return self.flow.transform(checked(X, self.flow.n, self.columns))

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Return the rows whose images are Z, (N, n); NaN where none was found."""
        return self.flow.inverse(checked(Z, self.flow.n))


@dataclass(frozen=True)
class Conditional:
    """The density of targets y given X, as `ConditionalConvexPotentialFlow` has it.

    Attributes
    ----------
    flow : Flow
        Of rows (y, X).
    columns, targets : list of str or None
        Names of the columns of X and of y, if they had any.
    """

    flow: Flow
    columns: list[str] | None
    targets: list[str] | None

    def score_samples(self, X: Any, y: Any) -> np.ndarray:
        """Return log p of targets (N,) or (N, n) given X (N, q), in nats."""
        return self.flow.log_density(self._rows(y, X))

    def transform(self, X: Any, y: Any) -> np.ndarray:
        """Return the images of targets given X; NaN outside the bounds."""
        return self.flow.transform(self._rows(y, X))

    def inverse_transform(self, X: Any, Z: Any) -> np.ndarray:
        """Return the targets whose images at X are Z, (N, n); NaN where none was found."""
        return self.flow.inverse(self._rows(Z, X))

    def _rows(self, Y: Any, X: Any) -> np.ndarray:
        Y = np.asarray(Y, dtype=float)
        Y = checked(Y[:, None] if Y.ndim == 1 else Y, self.flow.n)
        X = checked(X, self.flow.d - self.flow.n, self.columns)
        if len(X) != len(Y):
            raise ValueError(f"Expected as many rows of X as of the other; got {len(X)}, {len(Y)}.")
        return np.concatenate([Y, X], axis=1)


@dataclass(frozen=True)
class Mixture:
    """A mixture of flows and Gaussians, as `ConvexPotentialMixture` has it: its log-density.

    Attributes
    ----------
    flows : sequence of F Flow
        Components that are flows.
    preprocessing : Preprocessing
        What comes before the Gaussians.
    means, factors : (G, n), (G, n, n)
        Of the Gaussians; lower Cholesky factors of their covariances.
    weights : (F + G,)
        Those of the flows, then those of the Gaussians, summing to one.
    columns : list of str or None
        Names, if the rows that were fitted had any.
    """

    flows: Sequence[Flow]
    preprocessing: Preprocessing
    means: np.ndarray
    factors: np.ndarray
    weights: np.ndarray
    columns: list[str] | None

    def score_samples(self, X: Any) -> np.ndarray:
        """Return log p of rows (N, n) in nats; minus infinity outside the bounds."""
        return self.log_density(checked(X, self.preprocessing.n, self.columns))

    def log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p of checked rows."""
        inverses = np.linalg.inv(self.factors)
        return in_batches(partial(self._log_density, inverses), X)

    def _log_density(self, inverses: np.ndarray, X: np.ndarray) -> np.ndarray:
        Y, log_det = self.preprocessing.forward(X)
        log_dets = np.sum(np.log(np.diagonal(inverses, axis1=1, axis2=2)), axis=1)
        shifts = np.einsum("gij,gj->gi", inverses, self.means)
        z = np.einsum("gij,Nj->Ngi", inverses, Y) - shifts
        normal = -0.5 * np.sum(z * z, axis=2) - 0.5 * Y.shape[1] * LOG_2_PI
        terms = [flow.log_density(X)[:, None] for flow in self.flows]
        terms.append(normal + log_dets + log_det[:, None])
        whole = np.concatenate(terms, axis=1) + np.log(self.weights)
        largest = np.max(whole, axis=1)
        safe = np.where(np.isfinite(largest), largest, 0.0)
        with np.errstate(divide="ignore"):
            total = safe + np.log(np.sum(np.exp(whole - safe[:, None]), axis=1))
        return np.where(self.preprocessing.inside(X), total, -np.inf)


@dataclass(frozen=True)
class Chain:
    """A block-triangular density, as `TriangularConvexPotentialFlow` has it.

    Attributes
    ----------
    flows : sequence of Flow
        Of every block, rows (own columns, then those of the blocks before).
    places : (n,)
        Which column of a row comes first in the blocks, second, ...
    columns : list of str or None
        Names, if the rows that were fitted had any.
    """

    flows: Sequence[Flow]
    places: np.ndarray
    columns: list[str] | None

    def score_samples(self, X: Any) -> np.ndarray:
        """Return log p of rows (N, n) in nats; minus infinity outside the bounds."""
        rows = checked(X, len(self.places), self.columns)
        return np.sum([flow.log_density(part) for flow, part in self._parts(rows)], axis=0)

    def transform(self, X: Any) -> np.ndarray:
        """Return the images of rows (N, n), block after block; NaN outside the bounds."""
        rows = checked(X, len(self.places), self.columns)
        return np.concatenate([flow.transform(part) for flow, part in self._parts(rows)], axis=1)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Return the rows whose images are Z, block after block; NaN where none was found."""
        Z = checked(Z, len(self.places))
        X = Z[:, :0]
        for flow in self.flows:
            own = Z[:, X.shape[1] : X.shape[1] + flow.n]
            X = np.concatenate([X, flow.inverse(np.concatenate([own, X], axis=1))], axis=1)
        return X[:, np.argsort(self.places)]

    def _parts(self, rows: np.ndarray) -> list[tuple[Flow, np.ndarray]]:
        """Return every flow and its rows."""
        X, done, parts = rows[:, self.places], 0, []
        for flow in self.flows:
            end = done + flow.n
            parts.append((flow, np.concatenate([X[:, done:end], X[:, :done]], axis=1)))
            done = end
        return parts


def checked(X: Any, n: int, names: list[str] | None = None) -> np.ndarray:
    """Return finite float64 rows of n columns; those of a table by their names, if known."""
    own = getattr(X, "columns", None)
    if names is not None and own is not None:
        missing = [name for name in names if name not in list(own)]
        if missing:
            raise ValueError(f"Expected a table with the columns {names}; got none of {missing}.")
        X = X[names]
    rows = np.asarray(X, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != n:
        raise ValueError(f"Expected rows of shape (N, {n}); got {rows.shape}.")
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(
            f"Expected finite numbers; got {rows[row, column]} in row {row}, column {column}. Drop "
            "such rows."
        )
    return rows


def in_batches(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> np.ndarray:
    """Return what a function makes of rows, some of them at a time."""
    length = max(1, min(BATCH, CELLS // X.shape[1] ** 2))
    starts = range(0, max(len(X), 1), length)
    return np.concatenate([function(X[k : k + length]) for k in starts])
