"""The marginal likelihood of a posterior, by a density that was fitted to draws of it."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.data.chains import autocorrelation_time
from brenier.estimators.normal import check_n_samples
from brenier.marginal import evidence
from brenier.marginal.evidence import Evidence
from brenier.marginal.weights import largest_shape
from brenier.status import InputWarning

# Draws from the density that say where it is highest, and the share of it that this is.
N_DRAWS, SHARE = 1 << 15, 0.8
# Draws at which an unnormalised density is evaluated, and fewest of which there is an error.
N_EVALUATED, LEAST = 16384, 2


def evidence_of_callable(
    estimator: Any,
    density: Callable[[Float[np.ndarray, "N n"]], Float[np.ndarray, " N"]],
    log_density: Callable[[np.ndarray], Any],
    n_samples: int,
    random_state: Any,
) -> Evidence:
    """Return the integral of an unnormalised density, by draws of a fitted one.

    Parameters
    ----------
    estimator
        Fitted.
    density : callable
        Its log-density of rows.
    log_density : callable
        The logarithm of the unnormalised density of rows, (N, n), in the order of the columns of
        the fit: (N,).
    n_samples : int
        How many draws.
    random_state : int, RandomState or None
        Their seed.
    """
    check_n_samples(n_samples)
    _check_enough(int(n_samples), "n_samples")
    X = np.asarray(estimator.sample(n_samples, random_state=random_state), dtype=np.float64)
    logs = _checked(np.asarray(log_density(X), dtype=np.float64), len(X), "log_density(X)")
    return _told(evidence.of_proposals(logs, density(X)))


def evidence_of_draws(
    estimator: Any,
    density: Callable[[Float[np.ndarray, "N n"]], Float[np.ndarray, " N"]],
    X: Float[np.ndarray, "N n"],
    log_posterior: Any,
    groups: Any,
) -> Evidence:
    """Return the integral of an unnormalised density from its draws and their values.

    Parameters
    ----------
    estimator
        Fitted to other draws.
    density : callable
        Its log-density of rows.
    X : (N, n)
        Draws, as rows.
    log_posterior : (N,)
        The logarithm of the unnormalised density at each.
    groups : (N,) or None
        Labels of chains, whose rows are in their order; None: the draws are independent.
    """
    _check_enough(len(X), "draws")
    logs = _checked(np.asarray(log_posterior, dtype=np.float64), len(X), "log_posterior")
    if not np.all(np.isfinite(logs)):
        row = np.flatnonzero(~np.isfinite(logs))[0]
        raise ValueError(
            f"Expected finite numbers as log_posterior; got {logs[row]} in row {row} (rows count "
            "from 0). A draw of a posterior has a positive density there."
        )
    _warn_of_seen(*estimator._seen(X))
    own = np.asarray(estimator.sample(N_DRAWS, random_state=None), dtype=np.float64)
    log_q, own_log_q = density(X), density(own)
    time = 1.0 if groups is None else _time(log_q - logs, groups)
    return _told(evidence.of_draws(logs, log_q, own_log_q, SHARE, time))


def _check_enough(N: int, what: str) -> None:
    if N < LEAST:
        raise ValueError(
            f"Expected {LEAST} {what} or more, or an estimate has no standard error; got {N}."
        )


def _warn_of_seen(n_known: int, n_seen: int) -> None:
    """Warn of draws that the density was fitted to."""
    if n_seen:
        warnings.warn(
            f"Expected draws that the density was not fitted to; got {n_seen} of {n_known} that it "
            "was. It is too high at these, and the evidence too low: fit to one half of the draws, "
            "and give the other.",
            InputWarning,
            stacklevel=4,
        )


def _time(log_ratios: Float[np.ndarray, " N"], groups: Any) -> float:
    """Return how many draws of chains are worth one that is independent."""
    labels = np.asarray(groups)
    if labels.shape != log_ratios.shape:
        raise ValueError(
            f"Expected one label of groups for each of the {len(log_ratios)} rows; got "
            f"{labels.shape}."
        )
    _, chain = np.unique(labels, return_inverse=True)
    ratios = np.exp(log_ratios - np.max(log_ratios))
    return autocorrelation_time(ratios[:, None], chain.reshape(-1))


def _checked(logs: np.ndarray, N: int, what: str) -> Float[np.ndarray, " N"]:
    if logs.shape != (N,) or np.any(np.isnan(logs)) or np.any(logs == np.inf):
        got = f"shape {logs.shape}" if logs.shape != (N,) else "NaN or plus infinity"
        raise ValueError(f"Expected {N} numbers as {what}, one a row; got {got}.")
    return logs


def _told(found: Evidence) -> Evidence:
    """Return an estimate, after a warning if it is not to be trusted."""
    is_known = found.pareto_shape <= largest_shape(found.n_draws)
    if not is_known or not np.isfinite(found.log_evidence):
        warnings.warn(
            f"Expected weights whose largest have a Pareto shape k of at most "
            f"{largest_shape(found.n_draws):.2f}; got {found.pareto_shape:.2f}: few draws are "
            "nearly the whole, and neither the estimate nor its standard error means much. Fit to "
            "more draws, or with another kind of density.",
            InputWarning,
            stacklevel=4,
        )
    return found
