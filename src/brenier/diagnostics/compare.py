"""Models compared: on the same rows, by paired differences, and with each other, by draws.

The KL divergence of q from p is E_p[log p - log q], a mean over draws of p; the entropy of p is
E_p[-log p].
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.diagnosis import Comparison
from brenier.diagnostics.references import mean_and_error

LogDensity = Callable[[Float[np.ndarray, "N d"]], Float[np.ndarray, " N"]]
# Standard errors beyond which a lead is more than chance.
BEYOND_CHANCE = 2.0


def paired(values: Float[np.ndarray, "m N"]) -> Float[np.ndarray, "m m N"]:
    """Return log p_i - log p_j of every row; zero where neither has a density.

    Its mean over draws of model i is the KL divergence of j from i.
    """
    with np.errstate(invalid="ignore"):
        leads = values[:, None] - values[None]
    return np.where(np.isnan(leads), 0.0, leads)


def entropy(own: Float[np.ndarray, " M"]) -> tuple[float, float]:
    """Return the entropy of p and its standard error, from log p of its draws (nats)."""
    return mean_and_error(-own)


def compare(
    names: Sequence[str],
    log_densities: Sequence[LogDensity],
    draws: Sequence[Float[np.ndarray, "M d"]],
    X: Float[np.ndarray, "N d"],
    weights: Float[np.ndarray, " N"] | None = None,
) -> Comparison:
    """Return how several models stand to each other.

    Parameters
    ----------
    names : m str
        The models'.
    log_densities : m callables
        What each says of rows, in nats per data unit.
    draws : m arrays (M, d)
        Rows drawn of each, of a conditional density at contexts that all have in common.
    X : (N, d)
        Rows that none has seen.
    weights : (N,), optional
        Weights of the rows.
    """
    on_rows = np.stack([log_density(X) for log_density in log_densities])
    leads = paired(on_rows)
    m = len(names)
    means, errors = _each(weighted_mean_and_error(values, weights) for values in on_rows)
    differences, difference_errors = _each(
        weighted_mean_and_error(leads[i, j], weights) for i in range(m) for j in range(m)
    )
    # Of every model, what all say of its draws.
    of_draws = [np.stack([one(rows) for one in log_densities]) for rows in draws]
    divergences, divergence_errors = _each(
        mean_and_error(paired(of_draws[i])[i, j]) for i in range(m) for j in range(m)
    )
    entropies, entropy_errors = _each(entropy(of_draws[i][i]) for i in range(m))
    return Comparison(
        tuple(names),
        len(X),
        means,
        errors,
        differences.reshape(m, m),
        difference_errors.reshape(m, m),
        divergences.reshape(m, m),
        divergence_errors.reshape(m, m),
        entropies,
        entropy_errors,
        n_draws=len(draws[0]),
        verdict=verdict(names, on_rows, weights),
    )


def weighted_mean_and_error(
    values: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"] | None
) -> tuple[float, float]:
    """Return the weighted mean of values, and sqrt(sum w^2 (v - mean)^2) / sum w, its error.

    Rows of weight zero do not count, whatever their values.
    """
    if weights is None:
        return mean_and_error(values)
    values, weights = values[weights > 0], weights[weights > 0]
    omega = weights / weights.sum()
    mean = float(omega @ values)
    if not np.isfinite(mean):
        return mean, float("nan")
    return mean, float(np.sqrt(np.sum((omega * (values - mean)) ** 2)))


def verdict(
    names: Sequence[str],
    on_rows: Float[np.ndarray, "m N"],
    weights: Float[np.ndarray, " N"] | None,
) -> str:
    """Return which model is the best on the rows, and what of it could be chance."""
    means = [weighted_mean_and_error(values, weights)[0] for values in on_rows]
    order = np.argsort(np.nan_to_num(-np.array(means), nan=np.inf), kind="stable")
    best, others = order[0], order[1:]
    said = [f"{names[best]} is the best of {len(names)} on {on_rows.shape[1]} rows."]
    for k in others:
        lead, error = weighted_mean_and_error(paired(on_rows)[best, k], weights)
        is_beyond = lead > BEYOND_CHANCE * error or not np.isfinite(lead)
        chance = "" if is_beyond else ", which could be chance"
        said.append(f"It leads {names[k]} by {lead:.3f} +- {error:.3f} nats per row{chance}.")
    return " ".join(said)


def _each(pairs) -> tuple[np.ndarray, np.ndarray]:
    means, errors = zip(*pairs, strict=True)
    return np.array(means), np.array(errors)
