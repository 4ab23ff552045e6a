r"""The convex objective in w of features of many columns, by the few directions they are curved in.

    J(w) = sum_j omega_j [ 1/2 |G_j w|^2 - log det A_j ] + 1/2 sum_i rho_i w_i^2

of units' features, quadratics 1/2 (r_k . x)^2 along n axes and x itself, with nothing held of n^2
entries a row. M = sum_j omega_j G_j^T G_j + diag(rho) is formed once, from the rows and the units'
slopes. With A_j, O, B_j, F_j as in `brenier.potential.hessians`, Y_j Y_j^T = F_j B_j F_j^T, and
c_j = C_j w the weights of the units' terms (C_j does not depend on w),

    -gradient = sum_j omega_j C_j^T diag(T_j),  T_j = Y_j Y_j^T,                       of units,
    -gradient = sum_j omega_j diag(V_j),  V_j = Q^{-1/2} (I - O O^T + O B_j O^T) Q^{-1/2}
                                                                                  of quadratics,

and the Hessian, of units, of both, and of quadratics,

    sum_j omega_j C_j^T (T_j o T_j) C_j,
    sum_j omega_j C_j^T (W_j o W_j),  W_j = F_j B_j O^T Q^{-1/2},
    sum_j omega_j V_j o V_j,

o the product of entries; a term of full rank, S_i, has tr B_j S_i and tr B_j S_i B_j S_k there,
and f^T B_j S_i B_j f beside a direction f. Value and gradient are of all rows. A row's part of the
Hessian costs many times its gradient, but is a matrix of full rank already and much the same for
all rows: it is taken from evenly spaced ones. The solver corrects it by what the exact gradients
tell.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from brenier.arrays import Array, at_precision, sum_over_chunks
from brenier.inner.objective import AbstractObjective, Evaluation
from brenier.potential.hessians import (
    Coordinates,
    Factorised,
    LowRankHessians,
)
from brenier.potential.units import AbstractUnits

# Rows that a Hessian is of: at most the first number, fewer where that takes more multiplications
# than the second, but at least the third (benchmarks/NOTES.md, "Many columns").
MOST_ROWS, HESSIAN_WORK, LEAST_ROWS = 128, 2.5e8, 64

# Rounding of J (nats), where rows are of 32 bits.
ROUNDING_32 = 1e-6

Tiles = tuple[Float[Array, "_ B n"], Float[Array, "_ B"]]


class WideObjective(AbstractObjective):
    """J for units beside quadratics along all axes.

    Attributes
    ----------
    M : (m, m)
        The quadratic form of the squares, and the ridge.
    units : AbstractUnits
        As functions of R x.
    scale : (width,)
        What their values are multiplied by.
    rows : pair of (T, B, n), (T, B)
        R x and weights, in tiles.
    seen : pair of the same kind
        Those that the Hessian is of; their weights sum to one too.
    """

    M: Float[Array, "m m"]
    units: AbstractUnits
    scale: Float[Array, " width"]
    rows: Tiles
    seen: Tiles

    @staticmethod
    def of(
        units: AbstractUnits,
        scale: Float[Array, " width"],
        R: Float[Array, "n n"],
        X: Float[Array, "T B n"],
        omega: Float[Array, "T B"],
        ridge: Float[Array, " m"],
        *,
        exact: bool,
    ) -> "WideObjective":
        """Return J of rows; its Hessian is of all of them, or of as many as are enough.

        Parameters
        ----------
        units, scale
            Features are scale * units.
        R : (n, n)
            Axes of the quadratics, orthonormal rows.
        X, omega : (T, B, n), (T, B)
            Rows in tiles; those of weight zero do not count.
        ridge : (m,)
            rho.
        exact : bool
            Whether the Hessian is of all rows.
        """
        turned = at_precision(units.through(R.T), X.dtype)
        rows = X @ R.T.astype(X.dtype), omega
        moments = sum_over_chunks(
            lambda tile: at_precision(_Moments.of(turned, scale, *tile), omega.dtype), rows
        )
        seen = rows if exact else _evenly(rows, _enough_rows(turned, X.shape[-1]))
        return WideObjective(moments.second_moment(R) + jnp.diag(ridge), turned, scale, rows, seen)

    @property
    def rounding(self) -> float:
        """What rounding makes of J."""
        return ROUNDING_32 if self.rows[0].dtype == jnp.float32 else super().rounding

    def evaluate(
        self, w: Float[Array, " m"], *, with_hessian: bool | Bool[Array, ""] = True
    ) -> Evaluation:
        """Return J(w), its gradient, and its Hessian, the log-determinants' from `seen`."""
        v, q = self._split(w)
        directions = self.units.directions().astype(w.dtype)
        coordinates = Coordinates.of(q, jnp.eye(len(q)), directions)
        value, (of_v, of_q) = sum_over_chunks(
            lambda tile: jax.value_and_grad(self._term, (0, 1))(v, q, coordinates, tile), self.rows
        )
        m, m_plus = len(w), len(v) + len(q)
        hessian = jax.lax.cond(
            with_hessian,
            lambda: sum_over_chunks(lambda tile: self._hessian(v, coordinates, tile), self.seen),
            lambda: jnp.zeros((m_plus, m_plus), w.dtype),
        )
        Mw = self.M @ w
        of_w = jnp.concatenate([self.scale * of_v, of_q, jnp.zeros(m - m_plus, w.dtype)])
        return Evaluation(
            value=0.5 * w @ Mw + jnp.where(jnp.isfinite(value), value, jnp.inf),
            gradient=Mw + of_w,
            hessian=self.M + jnp.pad(hessian, (0, m - m_plus)),
        )

    def _split(self, w: Array) -> tuple[Float[Array, " width"], Float[Array, " n"]]:
        """Return the weights of units, scaled, and of quadratics."""
        d, n = len(self.scale), self.rows[0].shape[-1]
        return self.scale * w[:d], w[d : d + n]

    def _term(
        self, v: Array, q: Array, coordinates: Coordinates, tile: tuple[Array, Array]
    ) -> Float[Array, ""]:
        """Return - sum_j omega_j log det A_j of a tile."""
        X, omega = tile
        T = coordinates.basis().astype(X.dtype)
        _, _, curvature = self.units.expansion(v.astype(X.dtype), X, T)
        at = eqx.tree_at(lambda coordinates: coordinates.q, coordinates, q)
        at = at_precision(at, X.dtype)
        log_det = LowRankHessians(at, curvature).counting(omega > 0).log_det()
        return -jnp.sum(jnp.where(omega > 0, omega * log_det, 0.0))

    def _hessian(
        self, v: Array, coordinates: Coordinates, tile: tuple[Array, Array]
    ) -> Float[Array, "m_plus m_plus"]:
        """Return sum_j omega_j tr A_j^{-1} H_ji A_j^{-1} H_jk of a tile."""
        X, omega = tile
        v, scale, coordinates = at_precision((v, self.scale, coordinates), X.dtype)
        T = coordinates.basis()
        _, _, curvature = self.units.expansion(v, X, T)
        each = jax.vmap(lambda unit: self.units.expansion(unit, X, T)[2].weights())(jnp.diag(scale))
        inverse, YT, _ = Factorised.of(curvature.counting(omega > 0).by_row_apart())
        of_rows = jax.vmap(_row_hessian, (0, 0, -1, None, None))(
            inverse, YT, each, curvature.S, coordinates
        )
        of_rows = jnp.where((omega > 0)[:, None, None], of_rows, 0.0)
        return jnp.tensordot(omega, of_rows.astype(omega.dtype), 1)


def _row_hessian(
    inverse: Float[Array, "r r"],
    YT: Float[Array, "r k"],
    weights: Float[Array, "width k_s"],
    S: Float[Array, "s r r"],
    coordinates: Coordinates,
) -> Float[Array, "m_plus m_plus"]:
    """Return tr A^{-1} H_i A^{-1} H_k of one row, over units and quadratics.

    Parameters
    ----------
    inverse, YT : (r, r), (r, k)
        Its terms, factorised (`Factorised`).
    weights : (width, k + s)
        What every unit gives them for its own weight.
    S : (s, r, r)
        Terms of full rank.
    coordinates : Coordinates
        Q and O, R the identity.
    """
    B, FB = inverse.T @ inverse, YT.T @ inverse
    V = coordinates.inverse(B)
    terms, with_quadratics = (YT.T @ YT) ** 2, coordinates.spread(FB.T).T ** 2
    if len(S):
        FBS, BS = FB @ S, B @ S
        across = jnp.sum(FBS * FB, axis=-1)
        among = jnp.einsum("sab,tba->st", BS, BS)
        terms = jnp.block([[terms, across.T], [across, among]])
        on_axes = jnp.sum(coordinates.spread(BS) * coordinates.spread(B), axis=-1)
        with_quadratics = jnp.concatenate([with_quadratics, on_axes])
    across = weights @ with_quadratics
    return jnp.block([[weights @ terms @ weights.T, across], [across.T, V**2]])


class _Moments(NamedTuple):
    """Sums over rows: products of units' gradients, with the rows, and the rows' own moments."""

    of_units: Float[Array, "width width"]
    with_rows: Float[Array, "width n"]
    mean: Float[Array, "width n"]
    of_rows: Float[Array, " n"]
    squares: Float[Array, " n"]
    total: Float[Array, ""]

    @staticmethod
    def of(units: AbstractUnits, scale: Array, X: Array, omega: Array) -> "_Moments":
        """Return those of a tile, weighted."""
        X, total = jnp.where(omega[:, None] > 0, X, 0.0), jnp.sum(omega)
        scale, omega = at_precision((scale, omega), X.dtype)
        G = scale[:, None, None] * units.gradients(X)
        weighted = omega * G
        flat = weighted.reshape(len(G), -1), G.reshape(len(G), -1)
        return _Moments(
            of_units=flat[0] @ flat[1].T,
            with_rows=jnp.sum(weighted * X.T, axis=-1),
            mean=jnp.sum(weighted, axis=-1),
            of_rows=omega @ X,
            squares=omega @ X**2,
            total=total,
        )

    def second_moment(self, R: Float[Array, "n n"]) -> Float[Array, "m m"]:
        """Return sum_j omega_j G_j^T G_j.

        The gradients of units, quadratics and free features along R are G_i, x_k e_k, and R's
        columns: what is of data only is diagonal.
        """
        with_free, across = self.mean @ R, self.of_rows[:, None] * R
        return jnp.block(
            [
                [self.of_units, self.with_rows, with_free],
                [self.with_rows.T, jnp.diag(self.squares), across],
                [with_free.T, across.T, self.total * jnp.eye(len(R))],
            ]
        )


def _enough_rows(units: AbstractUnits, n: int) -> int:
    """Return how many rows the Hessian is of: what its work allows."""
    U = jax.eval_shape(units.directions).shape[0]
    r = min(n, U)
    return max(LEAST_ROWS, min(MOST_ROWS, int(HESSIAN_WORK // (n * n * r + U * r * r))))


def _evenly(rows: Tiles, wanted: int) -> Tiles:
    """Return evenly spaced rows, as many as wanted or a few more, of weights that sum to one."""
    X, omega = rows
    T, B, n = X.shape
    step = max(1, T * B // wanted)
    X, omega = X.reshape(-1, n)[::step], omega.ravel()[::step]
    short = -len(omega) % B
    X, omega = jnp.pad(X, ((0, short), (0, 0)), mode="edge"), jnp.pad(omega, (0, short))
    return X.reshape(-1, B, n), (omega / jnp.sum(omega)).reshape(-1, B)
