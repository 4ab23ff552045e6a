"""What a search records: iteration by iteration, and as a whole."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Iteration:
    """One accepted iterate of the search.

    Attributes
    ----------
    search : int
        Which search of the fit, counted from one.
    number : int
        Counted from one over the whole search.
    n_rows : int
        Training rows in use.
    loss, heldout_loss : float
        J on the training and the held-out rows (nats, without n/2 log 2 pi); NaN if not evaluated.
    newton_steps : int
        Newton steps of the inner solver since the previous iterate.
    work_units : int
        Forward and backward passes of single samples since the search began (thesis 4.1).
    seconds : float
        Since the fit began.
    """

    search: int
    number: int
    n_rows: int
    loss: float
    heldout_loss: float
    newton_steps: int
    work_units: int
    seconds: float


@dataclass(frozen=True)
class Certificate:
    """How near the returned model is to satisfying its optimality conditions.

    Attributes
    ----------
    stationarity : float
        Largest entry of |grad_w J - lambda| at the returned weights, evaluated afresh (nats).
    duality_gap : float
        s . lambda: by at most so much would another w lower J at the same mu (nats).
    projected_gradient : float
        Largest entry of the gradient of J_tau in mu, projected on the bounds (nats).
    """

    stationarity: float
    duality_gap: float
    projected_gradient: float


ProgressCallback = Callable[[Iteration], None]
"""What is called after every iterate, to show progress."""
