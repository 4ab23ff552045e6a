"""The end of a search: its best iterate on all rows, with the certificate, and J of any map."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.inner.solution import WarmStart
from brenier.optimizers.base import projected_gradient
from brenier.optimizers.early_stopping import Iterate
from brenier.optimizers.progress import Certificate
from brenier.potential.features import AbstractMap
from brenier.status import FitStatus, InnerStatus
from brenier.training.run import MAX_SEARCH_ROWS, Search
from brenier.varpro.parameters import lower_bounds
from brenier.varpro.reduced import VariableProjection, loss_on
from brenier.varpro.sample import Data, PaddedSample, chunk_rows


def polish(problem: VariableProjection, data: Data, found: Search) -> tuple[Iterate, Certificate]:
    """Return a search's best iterate, w solved for on all rows that it saw, with certificate.

    Parameters
    ----------
    problem : VariableProjection
        What was searched.
    data : Data
        The rows that the search saw.
    found : Search
        A search that has an iterate.
    """
    best = found.best
    if best is None:
        raise ValueError("Expected a search with an iterate; got one that never got anywhere.")
    sample = PaddedSample.of(
        data.X, data.weights, chunk_rows(problem.template.n, problem.template.n_constrained)
    )
    theta, w = jnp.asarray(best.theta), jnp.asarray(best.w)
    if len(data.X) > MAX_SEARCH_ROWS and found.status is not FitStatus.INTERRUPTED:
        solution = problem.solve(theta, sample, WarmStart(w, jnp.zeros_like(w), jnp.asarray(True)))
        if solution.status == InnerStatus.CONVERGED:
            w = solution.w
    _, _, gradient = problem.value_and_gradient(theta, w, sample)
    stationarity, gap = problem.certificate(theta, w, sample)
    certificate = Certificate(
        stationarity=float(stationarity),
        duality_gap=float(gap),
        projected_gradient=projected_gradient(
            best.theta, np.asarray(gradient), lower_bounds(problem.template.network)
        ),
    )
    return replace(best, w=np.asarray(w)), certificate


def loss_of_rows(
    map_: AbstractMap, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"]
) -> float:
    """Return J of a map on weighted rows (nats)."""
    rows = chunk_rows(map_.n, map_.n_constrained)
    return float(loss_on(map_, PaddedSample.of(X, weights, rows)))
