r"""Probabilities of classes from several networks' logits.

    p_j = 1/K sum_k softmax(a o_kj),

a >= 1 the sharpness: a mean of probabilities is less certain than each of them, so that the logits
may be sharpened, by as much as rows that were held out ask for ([1]_).

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks",
       2017, arXiv 1706.04599.
"""

import numpy as np
import scipy.special
from jaxtyping import Float
from scipy.optimize import minimize_scalar

# Sharpest that logits are made ("Regression and classification" in benchmarks/NOTES.md).
SHARPEST = np.e


def mean_log_probabilities(
    logits: Float[np.ndarray, "K N o"], sharpness: float
) -> Float[np.ndarray, "N o"]:
    """Return log p, rows' probabilities with the sum one."""
    each = scipy.special.log_softmax(sharpness * logits, axis=2)
    return scipy.special.logsumexp(each, axis=0) - np.log(len(logits))


def chosen_sharpness(
    logits: Float[np.ndarray, "N o"],
    Y: Float[np.ndarray, "N o"],
    weights: Float[np.ndarray, " N"],
) -> float:
    """Return the sharpness of the least log loss of held-out rows.

    Parameters
    ----------
    logits : (N, o)
        Of every row those of the network that did not train on it.
    Y : (N, o)
        Probabilities of the classes: ones and zeros.
    weights : (N,)
        Of the rows.
    """

    def log_loss(log_sharpness: float) -> float:
        sharpened = scipy.special.log_softmax(np.exp(log_sharpness) * logits, axis=1)
        return -float(np.average(np.sum(Y * sharpened, axis=1), weights=weights))

    found = minimize_scalar(log_loss, bounds=(0.0, np.log(SHARPEST)), method="bounded")
    # Where nothing is gained, as for a single class, logits stay as they are.
    return float(np.exp(found.x)) if found.fun < log_loss(0.0) else 1.0
