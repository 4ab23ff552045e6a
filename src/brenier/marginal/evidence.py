r"""The integral Z of an unnormalised density f, by a density q that is like it.

With draws x of q,

    Z = E_q[f(x) / q(x)];

with draws of f / Z instead, and the region A of the highest values of q that holds a share alpha of
its mass,

    1 / Z = E_f[1_A(x) q(x) / f(x)] / alpha.

The latter is the harmonic mean of Gelfand and Dey with a truncated density [1]_: within A, q / f is
bounded where f is positive, and the estimate has a finite variance.

References
----------
.. [1] C. P. Robert, D. Wraith, "Computational methods for Bayesian model choice", AIP Conference
       Proceedings 1193, 2009, arXiv 0907.5123.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.marginal.weights import log_mean, pareto_shape


@dataclass(frozen=True)
class Evidence:
    """The logarithm of the integral of an unnormalised density, such as a marginal likelihood.

    Attributes
    ----------
    log_evidence : float
        It (nats).
    standard_error : float
        Its standard error (nats).
    effective_size : float
        How many independent draws of equal weight the estimate is of.
    n_draws : int
        How many there were.
    pareto_shape : float
        Of the largest weights: above 0.7 neither the estimate nor its error means anything.
    """

    log_evidence: float
    standard_error: float
    effective_size: float
    n_draws: int
    pareto_shape: float

    def __str__(self) -> str:
        return (
            f"log evidence {self.log_evidence:.4f} +- {self.standard_error:.4f} nats "
            f"({self.n_draws} draws, worth {self.effective_size:.0f}; Pareto k "
            f"{self.pareto_shape:.2f})"
        )


def of_proposals(log_f: Float[np.ndarray, " N"], log_q: Float[np.ndarray, " N"]) -> Evidence:
    """Return the integral of f from its values, and those of q, at draws from q."""
    logs = log_f - log_q
    found = log_mean(logs)
    return Evidence(
        found.value, found.standard_error, found.effective_size, len(logs), pareto_shape(logs)
    )


def of_draws(
    log_f: Float[np.ndarray, " N"],
    log_q: Float[np.ndarray, " N"],
    own_log_q: Float[np.ndarray, " M"],
    share: float,
    time: float = 1.0,
) -> Evidence:
    """Return the integral of f from its values, and those of q, at draws from f / Z.

    Parameters
    ----------
    log_f, log_q : (N,)
        At draws from f / Z.
    own_log_q : (M,)
        log q at draws from q, which say where its region of highest density ends.
    share : float
        The mass of q within that region.
    time : float
        How many draws from f / Z are worth one independent draw.
    """
    least = np.quantile(own_log_q, 1.0 - share)
    with np.errstate(invalid="ignore"):
        logs = np.where(log_q >= least, log_q - log_f, -np.inf)
    found = log_mean(logs)
    # The region's mass is a share of so many draws.
    of_share = np.sqrt((1.0 - share) / (share * len(own_log_q)))
    error = np.hypot(found.standard_error * np.sqrt(time), of_share)
    return Evidence(
        float(np.log(share)) - found.value,
        float(error),
        found.effective_size / time,
        len(logs),
        pareto_shape(logs),
    )
