r"""Maps between two samples: through their two flows, and, of Gaussians, the optimal one.

With T_s and T_t the maps of two densities to the standard normal, T_t^{-1} o T_s carries the one
into the other. Each of the two is, up to preprocessing, the gradient of a convex function; their
composition is in general not, so that it is a transport map and not the optimal one, which moves
mass least. Between two Gaussians the optimal map is known [1]:

    x -> m_t + A (x - m_s),   A = S_s^{-1/2} (S_s^{1/2} S_t S_s^{1/2})^{1/2} S_s^{-1/2}.

References
----------
.. [1] I. Olkin, F. Pukelsheim, "The Distance Between Two Random Vectors with Given Dispersion
       Matrices", Linear Algebra Appl. 48, 1982.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.mixture import ConvexPotentialMixture
from brenier.estimators.tables import column_names
from brenier.estimators.triangular import TriangularConvexPotentialFlow

SingleMap = ConvexPotentialFlow | TriangularConvexPotentialFlow


@dataclass(frozen=True)
class Transport:
    """T_t^{-1} o T_s, from where the source's rows lie to where the target's do.

    Attributes
    ----------
    source, target : fitted estimators
        The densities whose maps these are.
    """

    source: SingleMap
    target: SingleMap

    def transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return where rows of the source go, (N, n)."""
        return np.asarray(self.target.inverse_transform(np.asarray(self.source.transform(X))))

    def inverse_transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return where rows of the target come from, (N, n)."""
        return np.asarray(self.source.inverse_transform(np.asarray(self.target.transform(X))))


@dataclass(frozen=True)
class BuresMap:
    """The optimal map between two Gaussians, x -> m_t + A (x - m_s).

    Attributes
    ----------
    source_mean, target_mean : (n,)
        m_s, m_t.
    matrix : (n, n)
        A, symmetric and positive definite.
    cost : float
        The squared 2-Wasserstein distance of the Gaussians, E |T(x) - x|^2.
    """

    source_mean: Float[np.ndarray, " n"]
    target_mean: Float[np.ndarray, " n"]
    matrix: Float[np.ndarray, "n n"]
    cost: float

    def transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return where rows of the source go, (N, n)."""
        centred = np.asarray(X, dtype=np.float64) - self.source_mean
        return self.target_mean + centred @ self.matrix

    def inverse_transform(self, X) -> Float[np.ndarray, "N n"]:
        """Return where rows of the target come from, (N, n)."""
        centred = np.asarray(X, dtype=np.float64) - self.target_mean
        return self.source_mean + np.linalg.solve(self.matrix, centred.T).T


def transport(source, target, *, estimator=None) -> Transport:
    """Return a map that carries one sample into another, through the maps of their densities.

    It is a composition, T_t^{-1} o T_s: a transport map, and not the optimal one, which only
    `bures_map` is, of Gaussians. (With `whiten="none"` and without bounds the map of a single
    `ConvexPotentialFlow` is the gradient of a convex function in data units: the Brenier map
    between its density and the standard normal.)

    Parameters
    ----------
    source, target : arrays or tables, (N, n) and (M, n), or fitted estimators
        Samples of the two; or the densities of two, of a single map each.
    estimator : ConvexPotentialFlow or TriangularConvexPotentialFlow, optional
        What is fitted to samples; not changed.

    Returns
    -------
    Transport
        With `transform` and `inverse_transform`; `source` and `target` are the fitted densities,
        whose reports say how good they are.

    Examples
    --------
    >>> import brenier
    >>> from brenier.data.datasets import MAFMoon, Moons
    >>> few = brenier.ConvexPotentialFlow(widths=(4,), max_iter=5, n_estimators=1)
    >>> X, Y = MAFMoon().sample(200, random_state=0), Moons().sample(200, random_state=0)
    >>> carried = brenier.transport(X, Y, estimator=few).transform(X)
    >>> carried.shape
    (200, 2)
    """
    estimator = ConvexPotentialFlow() if estimator is None else estimator
    fitted = [_fitted(rows, estimator) for rows in (source, target)]
    names = [column_names(flow) for flow in fitted]
    if names[0] != names[1]:
        raise ValueError(f"Expected samples of the same columns; got {names[0]} and {names[1]}.")
    return Transport(*fitted)


def bures_map(source, target, *, source_weight=None, target_weight=None) -> BuresMap:
    """Return the optimal map between the Gaussians of two samples' means and covariances.

    Where both are Gaussian, or one the image of the other under a symmetric positive definite
    matrix, it is the optimal map between the two.

    Parameters
    ----------
    source, target : (N, n), (M, n)
        Samples, of more rows than columns.
    source_weight, target_weight : (N,), (M,), optional
        Non-negative weights of their rows.

    Raises
    ------
    ValueError
        If a sample's covariance is singular, or columns are not as many.
    """
    m_s, S_s = _moments(source, source_weight, "source")
    m_t, S_t = _moments(target, target_weight, "target")
    if len(m_s) != len(m_t):
        raise ValueError(f"Expected as many columns of both; got {len(m_s)} and {len(m_t)}.")
    root = _power(S_s, 0.5)
    inverse_root = _power(S_s, -0.5)
    between = _power(root @ S_t @ root, 0.5)
    cost = np.sum((m_s - m_t) ** 2) + np.trace(S_s) + np.trace(S_t) - 2 * np.trace(between)
    return BuresMap(m_s, m_t, inverse_root @ between @ inverse_root, float(cost))


def _fitted(rows: Any, estimator: SingleMap) -> SingleMap:
    """Return the density of rows; of one that is fitted already, itself."""
    if isinstance(rows, SingleMap):
        check_is_fitted(rows)
        return rows
    if isinstance(rows, ConvexPotentialMixture):
        raise ValueError(
            "Expected densities with a single map; got a ConvexPotentialMixture, whose components "
            "have one each. Fit a ConvexPotentialFlow, with n_maps=2 where the data are hard."
        )
    unfitted: Any = clone(estimator)
    return unfitted.fit(rows)


def _moments(
    X: Any, weights: Any, name: str
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """Return the weighted mean and covariance of a sample."""
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(
            f"Expected {name} as finite rows (N, n); got the shape {rows.shape} with "
            f"{int(np.sum(~np.isfinite(rows)))} entries that are not finite. Drop such rows."
        )
    omega = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
    if omega.shape != (len(rows),) or not (omega >= 0).all() or not 0 < omega.sum() < np.inf:
        raise ValueError(f"Expected a non-negative weight of every row of {name}; got others.")
    omega = omega / omega.sum()
    mean = omega @ rows
    centred = rows - mean
    covariance = (omega[:, None] * centred).T @ centred
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(mean):
        raise ValueError(
            f"Expected a covariance of full rank of {name}; got one of rows that lie in a plane. "
            "Give more rows, or drop columns that follow from others."
        )
    return mean, covariance


def _power(S: Float[np.ndarray, "n n"], power: float) -> Float[np.ndarray, "n n"]:
    """Return a power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(S)
    return (vectors * values**power) @ vectors.T
