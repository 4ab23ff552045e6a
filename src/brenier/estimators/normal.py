"""Points of the normal space, given or drawn; rows without an image, points without a preimage."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import scipy.special
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.stats import qmc

from brenier.data.checks import check_finite, check_unmasked
from brenier.data.names import default_names, quoted
from brenier.data.tables import frame_of
from brenier.estimators.parameters import seed_of
from brenier.status import NoImageWarning, NoPreimageWarning, SomeRows

# Nodes of a mean over the normal: of Gauss-Hermite quadrature, and Sobol' points.
N_HERMITE, N_SOBOL = 32, 256
SOBOL_SEED = 0


def normal_points(Z, n: int) -> Float[np.ndarray, "N n"]:
    """Return points of the normal space as finite float64."""
    check_unmasked(Z, "Z")
    frame = frame_of(Z)
    names = None if frame is None else frame.names
    Z = np.asarray(Z, dtype=np.float64)
    if Z.ndim != 2 or Z.shape[1] != n:
        raise ValueError(f"Expected points of shape (N, {n}); got {Z.shape}.")
    own = default_names(n, "z")
    if names is not None and names != own and sorted(names) == sorted(own):
        raise ValueError(
            f"Expected points with the columns {quoted(own)} in this order; got them "
            f"as {quoted(names)}."
        )
    check_finite(Z, own)
    return Z


def generator(random_state: Any, default: Any) -> np.random.Generator:
    """Return where a sample's random numbers come from; `default` where `random_state` is None."""
    return np.random.default_rng(seed_of(default if random_state is None else random_state))


def check_n_samples(n_samples: Any) -> None:
    """Raise `ValueError` unless this is a positive integer."""
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"Expected n_samples to be a positive integer; got {n_samples!r}.")


def checked_labels(labels: Any, N: int, K: int) -> Int[np.ndarray, " N"]:
    """Return labels of N rows' components, of K in a mixture."""
    labels = np.asarray(labels)
    whole = labels.dtype.kind in "iu" and labels.shape == (N,)
    if not whole or (N and not 0 <= labels.min() <= labels.max() < K):
        raise ValueError(
            f"Expected {N} labels of components from 0 to {K - 1}, as transform returns them "
            f"with return_labels=True; got {np.array2string(labels, threshold=5)}."
        )
    return labels


def normal_nodes(n: int) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, " k"]]:
    """Return points and weights of a mean over the standard normal in n dimensions."""
    if n == 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(N_HERMITE)
        return nodes[:, None], weights / weights.sum()
    points = qmc.Sobol(n, scramble=True, rng=np.random.default_rng(SOBOL_SEED)).random(N_SOBOL)
    return scipy.special.ndtri(points), np.full(N_SOBOL, 1.0 / N_SOBOL)


def warn_of_no_image(Z: Float[np.ndarray, "N n"], what: str, *, stacklevel: int) -> None:
    """Warn of rows whose images Z are NaN, and say what is wrong with them.

    Parameters
    ----------
    Z : (N, n)
        Images.
    what : str
        As in "targets lie on or beyond their bounds".
    stacklevel : int
        Of the warning, counted from the caller.
    """
    outside = np.flatnonzero(np.isnan(Z).any(axis=1))
    if len(outside):
        rows = SomeRows(len(outside), len(Z), int(outside[0]))
        warnings.warn(NoImageWarning(rows, what), stacklevel=stacklevel + 1)


def found_preimages(
    rows: Float[np.ndarray, "N n"], converged: ArrayLike, residual: ArrayLike, *, stacklevel: int
) -> Float[np.ndarray, "N n"]:
    """Return the preimages that were found; NaN, with a warning, in place of the others.

    Parameters
    ----------
    rows : (N, n)
        The best that was found for every point.
    converged, residual : (N,)
        Which of them are preimages, and how far off their images are.
    stacklevel : int
        Of the warning, counted from the caller.
    """
    failed = np.flatnonzero(~np.asarray(converged))
    if len(failed):
        rows[failed] = np.nan
        of_first = float(np.asarray(residual)[failed[0]])
        which = SomeRows(len(failed), len(rows), int(failed[0]))
        warnings.warn(NoPreimageWarning(which, of_first), stacklevel=stacklevel + 1)
    return rows
