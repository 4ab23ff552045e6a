r"""A mini-batch's step of stochastic variable projection ([1]_, slimTrain).

With x = (mu, w), the last layer is updated on the batch by sampled limited-memory Tikhonov
(`brenier.inner.sampled_tikhonov`), and the network moves by the gradient of the batch's loss there:

    W_k from W_{k-1}, f_mu of the batch and what is remembered;   g = d/dmu J_batch(mu, W_k).

The minimiser of the batch alone is a biased and noisy substitute for that of all rows; memory and
the regularisation Lambda_k keep W_k near what earlier batches said, and no learning rate is needed
for it.

References
----------
.. [1] E. Newman, J. Chung, M. Chung, L. Ruthotto, "slimTrain - A Stochastic Approximation Method
       for Training Separable Deep Neural Networks", SIAM J. Sci. Comput. 44, 2022,
       arXiv 2109.14002, algorithm 4.1.
"""

from typing import NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.inner.losses import SquaredError
from brenier.inner.sampled_tikhonov import (
    AbstractRegularisation,
    FixedChange,
    SampledGCV,
    SampledTikhonov,
)
from brenier.varpro.problem import AbstractProblem
from brenier.varpro.sample import PaddedSample
from brenier.varpro.supervised import SupervisedProblem


class Updated(NamedTuple):
    """A batch after the update of its last layer.

    Attributes
    ----------
    x : (p,)
        (mu, W_k), mu as it was.
    value : ()
        The batch's J there, with ridge and decay.
    gradient : (q,)
        Its gradient in mu.
    last_layer : SampledTikhonov
        What the next update begins with.
    change : ()
        lambda_k.
    """

    x: Float[Array, " p"]
    value: Float[Array, ""]
    gradient: Float[Array, " q"]
    last_layer: SampledTikhonov
    change: Float[Array, ""]


def begin(
    problem: AbstractProblem, x: Float[np.ndarray, " p"], depth: int, first: float
) -> SampledTikhonov:
    """Return the state of the last layer before the first batch.

    Parameters
    ----------
    problem : AbstractProblem
        Least squares with free weights.
    x : (p,)
        (mu, w).
    depth : int
        Batches that are remembered, r.
    first : float
        Lambda_0.

    Raises
    ------
    ValueError
        If it is another problem.
    """
    if not _is_free_least_squares(problem):
        raise ValueError(
            "Expected least squares whose last layer has no bounds, which slimTrain is for; got "
            "another problem. Take the optimizer 'adam' for that."
        )
    w = x[-len(problem.lower) :]
    return SampledTikhonov.begin(w.reshape(-1, problem.n_outputs), depth, first)


def _is_free_least_squares(problem: AbstractProblem) -> TypeGuard[SupervisedProblem]:
    if not isinstance(problem, SupervisedProblem) or np.any(np.isfinite(problem.lower)):
        return False
    return isinstance(problem.loss_of_rows, SquaredError)


def regularised_by(change: float | None) -> AbstractRegularisation:
    """Return what chooses lambda_k: sampled cross-validation, or always the same."""
    # As an array, so that one program serves all.
    return SampledGCV() if change is None else FixedChange(np.asarray(change))


def updated(
    problem: SupervisedProblem,
    regularisation: AbstractRegularisation,
    x: Float[Array, " p"],
    last_layer: SampledTikhonov,
    batch: PaddedSample,
) -> Updated:
    """Return a batch, of one chunk, after the update of its last layer."""
    theta = x[: -len(problem.lower)]
    chunk = jax.tree.map(lambda leaf: leaf[0], batch)
    F, Y = problem.basis_and_targets(theta, chunk)
    last_layer, change = last_layer.update(F, Y, chunk.omega, regularisation)
    x = jnp.concatenate([theta, jnp.ravel(last_layer.W)])
    _, value, gradient, _ = problem.full_value_and_gradient(x, batch)
    return Updated(x, value, gradient[: len(theta)], last_layer, change)
