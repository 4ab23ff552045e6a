r"""A location and a scale of the targets that depend on the context.

With the context standardised, and a one after it, c,

    y -> exp(-S c) (y - M c),

column by column: what is left has no linear trend and no trend of its scale. A scale that is the
exponential of a line goes on beyond the rows as it does among them, which the end of a funnel's
neck and a noise that grows in proportion ask for. It is the likeliest of normal densities, found by
Fisher scoring [1]_: the mean by weighted regression, the logarithm of the scale by regression of
(r^2 - 1) / 2, r the standardised residuals, in turn. The rows decide whether it is there: as much
likelihood as the criterion of Schwarz [2]_ asks for one more slope for each column and each of the
context's.

References
----------
.. [1] A. C. Harvey, "Estimating Regression Models with Multiplicative Heteroscedasticity",
       Econometrica 44(3), 1976.
.. [2] G. Schwarz, "Estimating the Dimension of a Model", Annals of Statistics 6(2), 1978.
"""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, library_of

# Rows that it is fitted to at most, its most steps, and the gain in nats at which it ends.
MOST_ROWS, STEPS, TOLERANCE = 32768, 50, 1e-9
# How often a step is halved until it gains.
HALVINGS = 10
# Singular values of a context below this share of the largest are taken for zero.
SINGULAR = 1e-10


class ContextSpread(eqx.Module):
    """y -> exp(-S c) (y - M c) with c the standardised context, then a one.

    Attributes
    ----------
    location, log_scale : (n, q + 1)
        M and S.
    """

    location: Float[Array, "n q_and_1"]
    log_scale: Float[Array, "n q_and_1"]

    @staticmethod
    def of(
        Y: Float[np.ndarray, "N n"],
        C: Float[np.ndarray, "N q"],
        weights: Float[np.ndarray, " N"],
        least_sd: float,
    ) -> "ContextSpread | None":
        """Return the likeliest of weighted rows; None where a constant scale does as well.

        Parameters
        ----------
        Y : (N, n)
            Targets, whitened.
        C : (N, q)
            Their contexts, standardised.
        weights : (N,)
            In any unit.
        least_sd : float
            Least standard deviation of residuals.
        """
        Y, C, weights = Y[:MOST_ROWS], _with_one(C[:MOST_ROWS]), weights[:MOST_ROWS]
        omega = weights / np.sum(weights)
        N = 1.0 / np.sum(omega**2)
        n_slopes = np.linalg.matrix_rank(C) - 1
        if N <= 2 * (n_slopes + 1):
            return None
        fits = [_likeliest(y, C, omega, least_sd) for y in Y.T]
        gain = sum(gain for _, _, gain in fits)
        if N * gain <= 0.5 * Y.shape[1] * n_slopes * np.log(N):
            return None
        location, log_scale, _ = zip(*fits, strict=True)
        return ContextSpread(np.array(location), np.array(log_scale))

    def forward(
        self, Y: Float[Array, "N n"], C: Float[Array, "N q"]
    ) -> tuple[Float[Array, "N n"], Float[Array, " N"]]:
        """Return what is left of the targets at their contexts, and log |det| of the map there."""
        means, log_scales = self._at(C)
        xp = library_of(Y)
        return (Y - means) * xp.exp(-log_scales), -xp.sum(log_scales, axis=1)

    def inverse(self, Y: Float[Array, "N n"], C: Float[Array, "N q"]) -> Float[Array, "N n"]:
        """Return the targets of which Y is left at their contexts."""
        means, log_scales = self._at(C)
        return means + Y * library_of(Y).exp(log_scales)

    def _at(self, C: Float[Array, "N q"]) -> tuple[Array, Array]:
        """Return location and logarithm of the scale at every context."""
        q = C.shape[1]
        M, S = (library_of(C).asarray(part) for part in (self.location, self.log_scale))
        return C @ M[:, :q].T + M[:, q], C @ S[:, :q].T + S[:, q]


def _with_one(C: Float[np.ndarray, "N q"]) -> np.ndarray:
    return np.concatenate([C, np.ones((len(C), 1))], axis=1)


def _likeliest(
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
        return ((y - C @ m) ** 2 + least_sd**2) * np.exp(-2.0 * (C @ s))

    def loss(m: np.ndarray, s: np.ndarray) -> float:
        return float(omega @ (C @ s + 0.5 * squares(m, s)))

    s = np.zeros(C.shape[1])
    m = regression(omega, y)
    s[-1] = 0.5 * np.log(omega @ squares(m, s))
    first = last = loss(m, s)
    for _ in range(STEPS):
        m = regression(omega * np.exp(-2.0 * (C @ s)), y)
        step = regression(omega, 0.5 * (squares(m, s) - 1.0))
        start = loss(m, s)
        for _ in range(HALVINGS):
            now = loss(m, s + step)
            if now <= start:
                s = s + step
                break
            step *= 0.5
        now = loss(m, s)
        if last - now < TOLERANCE:
            break
        last = now
    return m, s, first - loss(m, s)
