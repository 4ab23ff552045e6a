r"""The partially input convex network: functions of (y, c), convex in y for every context c.

A context network makes bounded smooth features of the context alone,

    h = tanh(V_k ... tanh(V_1 c + d_1) ... + d_k),

which shift and scale the targets, bias the convex layers, and gate what passes between them:

    y~ = (y - T [c, h] - t) * exp(S h),
    u_1 = s(K_1 y~ + B_1 h + b_1),
    u_i = s(L_i (u_{i-1} * sigmoid(P_i h + p_i)) + K_i y~ + B_i h + b_i),    L_i >= 0.

The gates are positive, the shift and the scale do not contain y, and s is convex and
non-decreasing: every output is convex in y, whatever the weights and the context ([1]_, 3.2; [2]_,
section 3). Shift and scale are the same for all layers, so that a density whose place and width
depend on the context and whose shape hardly does is a short step from one that does not depend on
it at all.

References
----------
.. [1] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", 2016, arXiv 1609.07152.
.. [2] Z. O. Wang, R. Baptista, Y. Marzouk, L. Ruthotto, D. Verma, "Efficient Neural Network
       Approaches for Conditional Optimal Transport with Applications in Bayesian Inference", 2023,
       arXiv 2310.16975.
"""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.linalg import weighted_outer_products
from brenier.potential.activations import AbstractActivation, evaluate
from brenier.potential.jets import (
    Jet,
    activate,
    linear,
    nothing,
    plus_affine,
    product,
    scaled,
)


class Affine(eqx.Module):
    """h -> W h + b."""

    W: Float[Array, "out in"]
    b: Float[Array, " out"]

    def __call__(self, h: Float[Array, "in N"]) -> Float[Array, "out N"]:
        """Return W h + b of every sample."""
        return self.W @ h + self.b[:, None]


class View(NamedTuple):
    """What the convex layers see of N rows, samples last.

    Attributes
    ----------
    h : (k, N)
        Features of the context.
    e : (q + k, N)
        The context itself, then its features.
    residual, scale : (n, N)
        y less its shift; exp(S h). y~ is their product.
    """

    h: Array
    e: Array
    residual: Array
    scale: Array


class _Layer(NamedTuple):
    """One convex layer at N rows: everything that does not depend on the layer below.

    `gate` is (width_{i-1}, N), of no rows for the first layer, whose L has no columns.
    """

    L: Array
    K: Array
    gate: Array
    rest: Array


class PartiallyConvexNetwork(eqx.Module):
    """u_{l-1}: functions of (y, c) convex in y, as many as the last hidden layer is wide.

    Parameters
    ----------
    context : tuple of Affine
        V, d: the context's layers.
    shift : Affine
        T, t: from the context's q columns and its k features to the targets.
    S : (n, k)
        Logarithm of the scale of the targets.
    K : tuple of (width_i, n)
        Weights from the targets into each convex layer.
    bias : tuple of Affine
        B, b.
    L : tuple of (width_i, width_{i-1})
        Weights from layer to layer, all >= 0, one fewer than layers.
    gate : tuple of Affine
        P, p, as many as L.
    activation
        What s is.
    """

    context: tuple[Affine, ...]
    shift: Affine
    S: Float[Array, "n k"]
    K: tuple[Float[Array, "_ n"], ...]
    bias: tuple[Affine, ...]
    L: tuple[Float[Array, "_ _"], ...]
    gate: tuple[Affine, ...]
    activation: AbstractActivation = eqx.field(static=True)

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.S.shape[0]

    @property
    def n_context(self) -> int:
        """Columns of the context and its features together, q + k."""
        return self.shift.W.shape[1]

    @property
    def width(self) -> int:
        """Number of outputs."""
        return self.K[-1].shape[0]

    def view(self, X: Float[Array, "N d"]) -> View:
        """Return what the layers see of rows (y, c)."""
        y, c = X[:, : self.n].T, X[:, self.n :].T
        h = c
        for layer in self.context:
            h = jnp.tanh(layer(h))
        e = jnp.concatenate([c, h])
        return View(h, e, y - self.shift(e), jnp.exp(self.S @ h))

    def slope_bound(self, view: View) -> Float[Array, "width N"]:
        """Return a bound on every output's slope in y at the rows' contexts, for all y.

        With s' <= 1: c_1 = |K_1 e^{S h}|, c_i = L_i (c_{i-1} * gate_i) + |K_i e^{S h}|.
        """
        c = view.h[:0]
        for layer in self._layers(view):
            # The tiny term keeps the derivative finite at a row of zeros.
            direct = jnp.sqrt((layer.K**2) @ (view.scale**2) + 1e-24)
            c = layer.L @ (c * layer.gate) + direct
        return c

    def value(self, view: View) -> Float[Array, "width N"]:
        """Return u_{l-1}."""
        u = view.h[:0]
        for layer in self._layers(view):
            u = evaluate(self.activation, layer.L @ (u * layer.gate) + layer.rest)[0]
        return u

    def jet(self, view: View) -> Jet:
        """Return value, gradient and Hessian in y of every output."""
        u = nothing(self.n, view.h.shape[1], view.h.dtype)
        for layer in self._layers(view):
            below = linear(layer.L, scaled(layer.gate, u))
            slope = layer.K[:, :, None] * view.scale
            u = activate(self.activation, plus_affine(below, layer.rest, slope))
        return u

    def weighted(
        self, v: Float[Array, "width N"], view: View
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian in y of v . u_{l-1}, v given by sample."""
        n, N = self.n, view.h.shape[1]
        u, E = view.h[:0], jnp.zeros((0, n, N), view.h.dtype)
        passed = []
        for layer in self._layers(view):
            D = product(layer.L, E * layer.gate[:, None]) + layer.K[:, :, None] * view.scale
            a = layer.L @ (u * layer.gate) + layer.rest
            u, slope, curvature = evaluate(self.activation, a)
            E = slope[:, None] * D
            passed.append((layer, D, slope, curvature))
        value, z = jnp.sum(u * v, axis=0), jnp.sum(E * v[:, None], axis=0)
        weights = []
        for layer, _, slope, curvature in reversed(passed):
            weights.append(v * curvature)
            v = (layer.L.T @ (v * slope)) * layer.gate
        D = jnp.concatenate([D for _, D, _, _ in reversed(passed)])
        return value, z, weighted_outer_products(jnp.concatenate(weights), D)

    def _layers(self, view: View) -> Iterator[_Layer]:
        targets = view.residual * view.scale
        first = (jnp.zeros((self.K[0].shape[0], 0), targets.dtype), view.h[:0])
        between = (
            (L, jax.nn.sigmoid(gate(view.h))) for L, gate in zip(self.L, self.gate, strict=True)
        )
        for K, bias, (L, gate) in zip(self.K, self.bias, (first, *between), strict=True):
            yield _Layer(L, K, gate, K @ targets + bias(view.h))
