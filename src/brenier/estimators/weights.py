"""What users say of rows beside their numbers: weights, and which of them belong together."""

from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import _check_sample_weight

from brenier.data.chains import Blocks, blocks_of
from brenier.data.checks import check_unmasked
from brenier.data.weights import check_weights, weights_of_logs


def checked_weights(
    weights: Any, X: np.ndarray, what: str = "sample_weight"
) -> Float[np.ndarray, " N"] | None:
    """Return the weights of the rows X as float64, None where there are none."""
    if weights is None:
        return None
    found = _one_a_row(weights, X, what)
    check_weights(found, what)
    return found


def training_weights(
    sample_weight: Any, log_weights: Any, X: np.ndarray
) -> Float[np.ndarray, " N"] | None:
    """Return the weights of the rows X of a fit as float64, not all of them zero.

    Parameters
    ----------
    sample_weight, log_weights : array, (N,), or None
        The weights or their logarithms, or neither.
    X : (N, d)
        Rows.
    """
    if sample_weight is not None and log_weights is not None:
        raise ValueError(
            "Expected sample_weight or log_weights; got both. Give the weights or their logarithms."
        )
    if log_weights is not None:
        return weights_of_logs(_one_a_row(log_weights, X, "log_weights"))
    weights = checked_weights(sample_weight, X)
    if weights is not None and not np.any(weights > 0):
        raise ValueError("Expected a positive sample_weight; got zero for every row.")
    return weights


def mean_score(log_density: Float[np.ndarray, " N"], sample_weight: Any) -> float:
    """Return the mean log-density of rows, weighted if there are weights."""
    return float(np.average(log_density, weights=checked_weights(sample_weight, log_density)))


def _one_a_row(weights: Any, X: np.ndarray, what: str) -> Float[np.ndarray, " N"]:
    """Return float64 numbers, one for each row of X, that scikit-learn has checked but for NaN."""
    check_unmasked(weights, what)
    if not isinstance(weights, Real):
        # A copy of what it refuses to see: infinity and NaN are named by their rows afterwards.
        weights = np.array(weights, dtype=np.float64)
        seen = np.where(np.isfinite(weights), weights, 0.0)
        _check_sample_weight(seen, X, dtype=np.float64)
        return weights
    return np.full(len(X), float(weights))


def chain_blocks(groups: Any, X: Float[np.ndarray, "N d"]) -> Blocks | None:
    """Return the blocks of rows that belong together; None where rows are independent.

    Parameters
    ----------
    groups : (N,) or None
        Labels of chains.
    X : (N, d)
        Rows.
    """
    if groups is None:
        return None
    labels = np.asarray(groups)
    if labels.shape != (len(X),):
        raise ValueError(
            f"Expected one label of groups for each of the {len(X)} rows; got {labels.shape}."
        )
    return blocks_of(X, labels)
