r"""The fully input convex network u_{l-1} and its derivatives in the input.

    u_1 = s(K_1 x + b_1),   u_i = s(L_i u_{i-1} + K_i x + b_i),   L_i >= 0,

with s convex and non-decreasing: every output is convex in x, whatever the weights (thesis 2.1,
2.2; [1]_). Ways to its derivatives:

* `jet`: value, gradient and Hessian of every output, for the convex problem in the last layer;
* `weighted`: value, z and A of one weighted sum v . u_{l-1} only. With a_i the pre-activation of
  layer i, D_i its gradient and v_{l-1} = v, v_{i-1} = L_i^T (s'(a_i) v_i),

      A_ab = sum_i sum_k v_ik s''(a_ik) D_ika D_ikb,

  so no Hessian passes through the layers: this is what the outer gradient differentiates.
  `expansion` leaves the sum over units undone: with w . f_mu's other terms it is what
  `brenier.potential.hessians` factorises, and D_i is there only along r <= n directions.

References
----------
.. [1] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", 2016, arXiv 1609.07152, eq. 2.
"""

from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, scan_alike
from brenier.linalg import weighted_outer_products
from brenier.potential.activations import AbstractActivation, evaluate
from brenier.potential.hessians import Curvature
from brenier.potential.jets import Jet, activate, linear, nothing, plus_affine, product
from brenier.potential.nonnegativity import AbstractNonnegativity
from brenier.potential.units import AbstractUnits


class InputConvexNetwork(AbstractUnits):
    """u_{l-1}: convex functions of x, as many as the last hidden layer is wide.

    Parameters
    ----------
    K : tuple of (width_i, n)
        Weights from the input into each hidden layer.
    b : tuple of (width_i,)
        Biases.
    L : tuple of (width_i, width_{i-1})
        Trained matrices from layer to layer, one fewer than layers; `nonnegativity` turns each
        into L_i >= 0.
    activation, nonnegativity
        What s is, and how L_i >= 0 is kept.
    """

    K: tuple[Float[Array, "_ n"], ...]
    b: tuple[Float[Array, " _"], ...]
    L: tuple[Float[Array, "_ _"], ...]
    activation: AbstractActivation = eqx.field(static=True)
    nonnegativity: AbstractNonnegativity = eqx.field(static=True)

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.K[0].shape[1]

    @property
    def width(self) -> int:
        """Number of outputs."""
        return self.K[-1].shape[0]

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """What keeps L >= 0."""
        return self.nonnegativity

    def hidden_weights(self) -> tuple[Float[Array, "_ _"], ...]:
        """Return the matrices L_i >= 0 themselves."""
        return tuple(self.nonnegativity.weights(raw) for raw in self.L)

    def slope_bound(self) -> Float[Array, " width"]:
        """Return a global bound on every output's slope: |grad u_i(x)| <= c_i for all x.

        With s' <= 1 and L >= 0: c_1 = |K_1|, c_i = L_i c_{i-1} + |K_i|, |.| the norms of rows. The
        bound is reached far out where all units point the same way.
        """
        c = _row_norms(self.K[0])
        for L, K in zip(self.hidden_weights(), self.K[1:], strict=True):
            c = L @ c + _row_norms(K)
        return c

    def lower_bounds(self) -> "InputConvexNetwork":
        """Return minus infinity, but what keeps L >= 0 for the L_i."""
        least = self.nonnegativity.lower_bound
        free = jax.tree.map(lambda array: np.full(np.shape(array), -np.inf), self)
        hidden = tuple(np.full(np.shape(raw), least) for raw in self.L)
        return eqx.tree_at(lambda network: network.L, free, hidden) if hidden else free

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return K and L."""
        return [*self.K, *self.hidden_weights()]

    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N width"]:
        """Return u_{l-1}."""
        u = evaluate(self.activation, X @ self.K[0].T + self.b[0])[0]
        for L, K, b in zip(self.hidden_weights(), self.K[1:], self.b[1:], strict=True):
            u = evaluate(self.activation, u @ L.T + X @ K.T + b)[0]
        return u

    def gradients(self, X: Float[Array, "N n"]) -> Float[Array, "width n N"]:
        """Return the gradient of every output."""

        def layer(
            below: tuple[Array, Array], weights: tuple[Array, Array, Array]
        ) -> tuple[tuple[Array, Array], None]:
            u, E = below
            L, K, b = weights
            s, s1, _ = evaluate(self.activation, L @ u + K @ X.T + b[:, None])
            return (s, s1[:, None] * (product(L, E) + K[:, :, None])), None

        first, *others = self._layers()
        below, _ = layer((X.T[:0], jnp.zeros((0, self.n, len(X)), X.dtype)), first)
        return scan_alike(layer, below, others)[0][1]

    def jet(self, X: Float[Array, "N n"]) -> Jet:
        """Return value, gradient and Hessian of every output."""

        def layer(u: Jet, weights: tuple[Array, Array, Array]) -> tuple[Jet, None]:
            L, K, b = weights
            slope = jnp.broadcast_to(K[:, :, None], (*K.shape, X.shape[0]))
            a = plus_affine(linear(L, u), K @ X.T + b[:, None], slope)
            return activate(self.activation, a), None

        first, *others = self._layers()
        u, _ = layer(nothing(self.n, X.shape[0], X.dtype), first)
        return scan_alike(layer, u, others)[0]

    def weighted(
        self, v: Float[Array, " width"], X: Float[Array, "N n"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian in x of v . u_{l-1}(x)."""
        N, n = X.shape

        def forward(
            below: tuple[Array, Array], weights: tuple[Array, Array, Array, Array]
        ) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
            u, E = below
            L, transposed, K, b = weights
            D = _times(L, transposed, E.reshape(len(E), n * N)).reshape(-1, n, N) + K[:, :, None]
            a = _times(L, transposed, u) + K @ X.T + b[:, None]
            u, slope, curvature = evaluate(self.activation, a)
            return (u, slope[:, None] * D), (D, slope, curvature)

        def backward(v: Array, passed: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            transposed, slope, curvature = passed
            return transposed @ (v * slope), v * curvature

        first, *others = ((L, L.T, K, b) for L, K, b in self._layers())
        below, at_first = forward((X.T[:0], jnp.zeros((0, n, N), X.dtype)), first)
        (u, E), at_others = scan_alike(forward, below, others)
        value, z = v @ u, (v @ E.reshape(len(v), -1)).reshape(n, N)
        passed = [(weights[1], *seen[1:]) for weights, seen in zip(others, at_others, strict=True)]
        v, of_others = scan_alike(backward, jnp.broadcast_to(v[:, None], u.shape), passed[::-1])
        curved = jnp.concatenate([v * at_first[2], *of_others[::-1]])
        D = jnp.concatenate([at_first[0], *(seen[0] for seen in at_others)])
        return value, z, weighted_outer_products(curved, D)

    def directions(self) -> Float[Array, "U n"]:
        """Return all layers' K."""
        return jnp.concatenate([jnp.asarray(K) for K in self.K])

    def through(self, M: Float[Array, "n r"]) -> "InputConvexNetwork":
        """Return the same functions of y, x = M y."""
        K = tuple(K @ M for K in self.K)
        return InputConvexNetwork(K, self.b, self.L, self.activation, self.nonnegativity)

    def expansion(
        self, v: Float[Array, " width"], X: Float[Array, "N n"], T: Float[Array, "n r"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Curvature]:
        """Return value and gradient in x of v . u_{l-1}(x), and a term for every hidden unit.

        Arrays of directions are (width, N, r): a row's stand together.
        """
        N = len(X)

        def forward(
            below: tuple[Array, Array], weights: tuple[Array, Array, Array]
        ) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
            u, E = below
            L, K, b = weights
            s, s1, s2 = evaluate(self.activation, L @ u + K @ X.T + b[:, None])
            D = product(L, E) + (K @ T)[:, None]
            return (s, s1[:, :, None] * D), (D, s1, s2)

        def backward(v: Array, passed: tuple[Array, Array, Array]) -> tuple[Array, tuple]:
            L, s1, s2 = passed
            slope = v * s1
            return L.T @ slope, (slope, v * s2)

        first, *others = self._layers()
        below, at_first = forward((X.T[:0], jnp.zeros((0, N, T.shape[1]), X.dtype)), first)
        (u, _), at_others = scan_alike(forward, below, others)
        passed = [(weights[0], *seen[1:]) for weights, seen in zip(others, at_others, strict=True)]
        of_first, of_others = scan_alike(
            backward, jnp.broadcast_to(v[:, None], u.shape), passed[::-1]
        )
        slopes = jnp.concatenate([of_first * at_first[1], *(slope for slope, _ in of_others[::-1])])
        r = T.shape[1]
        curvature = Curvature(
            c=jnp.concatenate([jnp.zeros((0, N), X.dtype), *(c for _, c in of_others[::-1])]),
            F=jnp.concatenate([jnp.zeros((0, N, r), X.dtype), *(seen[0] for seen in at_others)]),
            b=of_first * at_first[2],
            D=self.K[0] @ T,
            a=jnp.zeros((0, N), X.dtype),
            S=jnp.zeros((0, r, r), X.dtype),
        )
        return v @ u, self.directions().T @ slopes, curvature

    def _layers(self) -> Iterator[tuple[Array, Array, Array]]:
        """Return L, K and b layer by layer; the first has nothing below it: an L of no columns."""
        first = jnp.zeros((self.K[0].shape[0], 0), jnp.asarray(self.K[0]).dtype)
        yield from zip((first, *self.hidden_weights()), self.K, self.b, strict=True)


@jax.custom_vjp
def _times(
    L: Float[Array, "width before"],
    transposed: Float[Array, "before width"],
    u: Float[Array, "before R"],
) -> Float[Array, "width R"]:
    """Return L u, given the transpose of L: XLA's quick products are of matrices as they stand."""
    return L @ u


def _times_forward(L: Array, transposed: Array, u: Array) -> tuple[Array, tuple[Array, Array]]:
    return L @ u, (transposed, u)


def _times_backward(held: tuple[Array, Array], change: Array) -> tuple[Array, Array, Array]:
    transposed, u = held
    return change @ u.T, jnp.zeros_like(transposed), transposed @ change


_times.defvjp(_times_forward, _times_backward)


def _row_norms(K: Float[Array, "width n"]) -> Float[Array, " width"]:
    # The tiny term keeps the derivative finite at a row of zeros.
    return jnp.sqrt(jnp.sum(K * K, axis=1) + 1e-24)
