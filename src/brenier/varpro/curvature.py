r"""Gauss-Newton products: curvature of the loss without second derivatives of the network.

The loss of a row is a convex function l of outputs that are linear in w. With Y their derivative in
the weights (mu, w), the Gauss-Newton matrix is

    M = sum_j omega_j Y_j^T l'' Y_j,

positive semidefinite whatever the weights; what it leaves out are second derivatives of the outputs
in the weights. Outputs are linear in w, so its block M_ww is the exact Hessian of the inner
problem. Of a density the outputs are the map and its Jacobian, with l(z, A) = 1/2 |z|^2 - log det A
and l''(dz, dA) = (dz, A^{-1} dA A^{-1}).

Eliminating w gives the reduced matrix, a Schur complement ([1]_, and the GNvpro of [2]_):

    S = M_mumu - M_muw (M_ww + barrier)^{-1} M_wmu + decay.

References
----------
.. [1] L. Kaufman, "A Variable Projection Method for Solving Separable Nonlinear Least Squares
       Problems", BIT 15, 1975.
.. [2] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro: Efficient
       Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.program import program
from brenier.varpro.parameters import decayed_weights
from brenier.varpro.problem import AbstractProblem
from brenier.varpro.sample import AbstractSample, PaddedSample

Weights = tuple[Array, Array]
"""(mu, w)."""


@program
def reduced_product(
    problem: AbstractProblem,
    theta: Float[Array, " q"],
    w: Float[Array, " m"],
    sample: AbstractSample,
    factor: Float[Array, "m m"],
    v: Float[Array, " q"],
) -> Float[Array, " q"]:
    """Return S v, given the Cholesky factor of the inner problem's Hessian with barrier."""
    at = (theta, w)
    by_mu, by_w = _product(problem, at, (v, jnp.zeros_like(w)), sample)
    response = -jax.scipy.linalg.cho_solve((factor, True), by_w)
    through_w, _ = _product(problem, at, (jnp.zeros_like(theta), response), sample)
    return by_mu + through_w + _decay_product(problem, theta, v)


@program
def full_product(
    problem: AbstractProblem,
    x: Float[Array, " p"],
    sample: AbstractSample,
    v: Float[Array, " p"],
) -> Float[Array, " p"]:
    """Return M v in all variables x = (mu, w), ridge and decay included."""

    def decayed(x):
        theta, w = problem.split(x)
        ridge = jnp.sqrt(jnp.asarray(problem.ridge)) * w
        network = problem.network_at(theta)
        return jnp.concatenate([jnp.sqrt(problem.decay) * decayed_weights(network), ridge])

    weights, pull = jax.vjp(problem.split, x)
    product = _product(problem, weights, jax.jvp(problem.split, (x,), (v,))[1], sample)
    return pull(product)[0] + _gram_product(decayed, x, v)


def _product(
    problem: AbstractProblem, weights: Weights, v: Weights, sample: AbstractSample
) -> Weights:
    """Return M v over all chunks, at weights (mu, w)."""

    def chunk_product(chunk: PaddedSample):
        def at(weights: Weights):
            theta, w = weights
            return problem.outputs(theta, w, chunk)

        outputs, pull = jax.vjp(at, weights)
        change = _forward(pull, outputs, v)

        def loss(outputs):
            return problem.loss_of_outputs(outputs, chunk)

        _, curved = jax.jvp(jax.grad(loss), (outputs,), (change,))
        return pull(curved)[0]

    return sample.total(chunk_product, tiled=False)


def _forward(pull: Callable[[Any], tuple[Any]], outputs: Any, v: Any) -> Any:
    """Return the derivative along v of a function known by its pull-back: that one's transpose.

    What the maps are made of has derivatives of its own for the way back only.
    """
    nothing = jax.tree.map(jnp.zeros_like, outputs)
    return jax.vjp(lambda cotangent: pull(cotangent)[0], nothing)[1](v)[0]


def _decay_product(problem: AbstractProblem, theta: Array, v: Array) -> Array:
    def decayed(theta):
        return jnp.sqrt(problem.decay) * decayed_weights(problem.network_at(theta))

    return _gram_product(decayed, theta, v)


def _gram_product(function: Callable[[Array], Array], at: Array, v: Array) -> Array:
    """Return D^T D v, D the derivative of `function`."""
    _, change = jax.jvp(function, (at,), (v,))
    return jax.vjp(function, at)[1](change)[0]
