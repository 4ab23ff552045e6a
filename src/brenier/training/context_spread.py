"""The scale that a density given a context first loses, if it does.

It is the likeliest of normal densities whose mean and whose logarithm of scale are lines in the
context, found by Fisher scoring [1]_: the mean by weighted regression, the logarithm of the scale
by regression of (r^2 - 1) / 2, r the standardised residuals, one after the other until neither
changes.

A funnel's neck, or noise that grows with the context, is simple once it is removed, and goes on
beyond the rows. Of what is curved or in pieces it may make more than there was. So it must gain
what Schwarz's criterion [2]_ asks for its slopes; and alone, a normal density, lead the best of a
few mixtures of linear regressions with gates, each half of the rows judging what the other is
fitted by: then little is left to do.

References
----------
.. [1] A. C. Harvey, "Estimating Regression Models with Multiplicative Heteroscedasticity",
       Econometrica 44(3), 1976.
.. [2] G. Schwarz, "Estimating the Dimension of a Model", Annals of Statistics 6(2), 1978.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.arrays import LOG_2_PI
from brenier.data.rows import WeightedRows, together
from brenier.flow.spread import ContextSpread
from brenier.training.gaussian_mixture import conditional_log_density, fit_gaussian_mixture
from brenier.training.judged_mean import judged_mean
from brenier.training.settings import Settings

# Steps of the search, and the gain in nats at which it ends; how often a step is halved until it
# gains.
STEPS, TOLERANCE, HALVINGS = 50, 1e-9, 10
# Singular values of a context below this share of the largest are taken for zero.
SINGULAR = 1e-10


class Likeliest(NamedTuple):
    """The likeliest spread of some rows.

    Attributes
    ----------
    spread : ContextSpread
        M and S.
    gain : float
        Over a constant scale (nats a row).
    variation : float
        The greatest standard deviation of the logarithm of a target's scale.
    """

    spread: ContextSpread
    gain: float
    variation: float


def context_spread(rows: WeightedRows, n: int, settings: Settings) -> ContextSpread | None:
    """Return what n whitened targets, before their scaled context, lose; None if nothing."""
    N, n_slopes = rows.effective_size, int(np.linalg.matrix_rank(_with_one(rows.X[:, n:]))) - 1
    if 2 * (n_slopes + 1) >= N:
        return None
    found = likeliest(rows, n, settings.least_sd)
    is_clear = N * found.gain > 0.5 * n * n_slopes * np.log(N)
    is_large = found.variation > settings.spread_variation
    return found.spread if is_clear and is_large and _leads(rows, n, settings) else None


def likeliest(rows: WeightedRows, n: int, least_sd: float) -> Likeliest:
    """Return the likeliest spread of rows (y, c) with n targets.

    Parameters
    ----------
    rows : WeightedRows
        Whitened targets, then the scaled context.
    n : int
        Number of targets.
    least_sd : float
        Standard deviation that is added to residuals'.
    """
    C, omega = _with_one(rows.X[:, n:]), rows.weights / np.sum(rows.weights)
    fits = [_of_target(y, C, omega, least_sd) for y in rows.X[:, :n].T]
    location, log_scale, gains = (np.array(part) for part in zip(*fits, strict=True))
    variation = float(np.max(np.std(C @ log_scale.T, axis=0)))
    return Likeliest(ContextSpread(location, log_scale), float(np.sum(gains)), variation)


def _with_one(C: Float[np.ndarray, "N q"]) -> np.ndarray:
    return np.concatenate([C, np.ones((len(C), 1))], axis=1)


def _of_target(
    y: Float[np.ndarray, " N"],
    C: Float[np.ndarray, "N q_and_1"],
    omega: Float[np.ndarray, " N"],
    least_sd: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return M and S of one target, and what it gains over a constant scale (nats a row)."""

    def regression(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        gram = (C * weights[:, None]).T @ C
        return np.linalg.pinv(gram, rcond=SINGULAR, hermitian=True) @ (C.T @ (weights * values))

    def squares(m: np.ndarray, s: np.ndarray) -> np.ndarray:
        # A step that goes too far has a loss without end.
        with np.errstate(over="ignore"):
            return ((y - C @ m) ** 2 + least_sd**2) * np.exp(-2.0 * (C @ s))

    def loss(m: np.ndarray, s: np.ndarray) -> float:
        return float(omega @ (C @ s + 0.5 * squares(m, s)))

    m, s = regression(omega, y), np.zeros(C.shape[1])
    s[-1] = 0.5 * np.log(omega @ squares(m, s))
    first = last = loss(m, s)
    for _ in range(STEPS):
        m = regression(omega * np.exp(-2.0 * (C @ s)), y)
        step = regression(omega, 0.5 * (squares(m, s) - 1.0))
        start = loss(m, s)
        shares = 0.5 ** np.arange(HALVINGS)
        s = next((s + k * step for k in shares if loss(m, s + k * step) <= start), s)
        reached = loss(m, s)
        if last - reached < TOLERANCE:
            break
        last = reached
    return m, s, first - reached


def _leads(rows: WeightedRows, n: int, settings: Settings) -> bool:
    """Whether a normal density with the likeliest spread leads mixtures on rows held out."""
    middle = len(rows.X) // 2
    halves = rows[:middle], rows[middle:]
    judged = [_judged(train, judge, n, settings) for train, judge in (halves, halves[::-1])]
    # Row by row, of every size that both halves are enough for; few rows are for none.
    own, *of_mixtures = (np.concatenate(parts) for parts in zip(*judged, strict=False))
    if not of_mixtures:
        return False
    both = together(halves[::-1])
    most = settings.spread_most_lead
    lead = judged_mean(np.clip(own - max(of_mixtures, key=both.mean), -most, most), both, None)
    return lead.mean > settings.spread_lead * lead.standard_error


def _judged(
    train: WeightedRows, judge: WeightedRows, n: int, settings: Settings
) -> list[Float[np.ndarray, " M"]]:
    """Return log-densities of rows under the likeliest of others, then under mixtures of these."""
    spread = likeliest(train, n, settings.least_sd).spread
    left, log_det = spread.forward(judge.X[:, :n], judge.X[:, n:])
    own = log_det - 0.5 * np.sum(left**2, axis=1) - 0.5 * n * LOG_2_PI
    most = train.effective_size / (train.X.shape[1] + 1)
    turned = train.at(np.roll(train.X, -n, axis=1))
    mixtures = [
        fit_gaussian_mixture(turned, size, [size], settings)
        for size in settings.spread_sizes
        if size <= most
    ]
    return [own, *(conditional_log_density(mixture, judge.X, n) for mixture in mixtures)]
