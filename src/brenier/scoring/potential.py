r"""Potentials Phi, their gradients and Hessians at rows: `brenier.potential` in NumPy.

A row is (y, c): n targets, then the context's columns, if there are any. Where Phi = w . f, the
features f are those of units (a network, radial units beside it), then quadratics, then free ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brenier.scoring.activations import Jet

# Keeps the norm of a row of zeros as the fit has it.
TINY = 1e-24


class Potential(ABC):
    """A function of rows, convex in n targets."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of targets."""

    @abstractmethod
    def jet(self, X: np.ndarray) -> Jet:
        """Return Phi (N,), grad Phi (N, n) and hess Phi (N, n, n) of rows (N, d)."""


@dataclass(frozen=True)
class Sum(Potential):
    """The weighted sum of potentials."""

    members: Sequence[Potential]
    shares: np.ndarray

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.members[0].n

    def jet(self, X: np.ndarray) -> Jet:
        """Return the sums of the members' values, gradients and Hessians."""
        value, z, A = 0.0, 0.0, 0.0
        for share, member in zip(self.shares, self.members, strict=True):
            one = member.jet(X)
            value, z, A = value + share * one[0], z + share * one[1], A + share * one[2]
        return np.asarray(value), np.asarray(z), np.asarray(A)


class Units(ABC):
    """Convex functions of rows (N, n)."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of columns."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of functions."""

    @abstractmethod
    def slope_bound(self) -> np.ndarray:
        """Return a bound on every function's slope, (width,)."""

    @abstractmethod
    def weighted(self, v: np.ndarray, X: np.ndarray) -> Jet:
        """Return value, gradient and Hessian of v . u(x)."""


@dataclass(frozen=True)
class Network(Units):
    """u_1 = s(K_1 x + b_1), u_i = s(L_i u_{i-1} + K_i x + b_i), L_i >= 0."""

    K: Sequence[np.ndarray]
    b: Sequence[np.ndarray]
    L: Sequence[np.ndarray]
    activation: Callable[[np.ndarray], Jet]

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.K[0].shape[1]

    @property
    def width(self) -> int:
        """Number of outputs."""
        return len(self.K[-1])

    def slope_bound(self) -> np.ndarray:
        """Return c_1 = |K_1|, c_i = L_i c_{i-1} + |K_i|, |.| the norms of rows."""
        c = _row_norms(self.K[0])
        for L, K in zip(self.L, self.K[1:], strict=True):
            c = L @ c + _row_norms(K)
        return c

    def weighted(self, v: np.ndarray, X: np.ndarray) -> Jet:
        """Return value, gradient and Hessian of v . u(x)."""
        layers = [Layer(K, X @ K.T + b) for K, b in zip(self.K, self.b, strict=True)]
        between = [(L, None) for L in self.L]
        return weighted_layers(
            np.broadcast_to(v, (len(X), len(v))), layers, between, self.activation
        )


@dataclass(frozen=True)
class Layer:
    """What a layer sees besides the layer below: slopes (d, n) or (N, d, n), and values (N, d)."""

    slope: np.ndarray
    rest: np.ndarray


def weighted_layers(
    v: np.ndarray,
    layers: Sequence[Layer],
    between: Sequence[tuple[np.ndarray, np.ndarray | None]],
    activation: Callable[[np.ndarray], Jet],
) -> Jet:
    """Return value, gradient and Hessian of v . u, u the last layer's outputs, v (N, d).

    `between` has L of every layer but the first, and the gates of what comes from below.
    """
    N, n = len(v), layers[0].slope.shape[-1]
    u, E, passed = np.zeros((N, 0)), np.zeros((N, 0, n)), []
    for layer, below in zip(layers, (None, *between), strict=True):
        a, D = layer.rest, np.broadcast_to(layer.slope, (*layer.rest.shape, layer.slope.shape[-1]))
        if below is not None:
            L, gate = below
            gate = 1.0 if gate is None else gate[:, :, None]
            a = a + (u[:, :, None] * gate)[:, :, 0] @ L.T
            D = D + np.einsum("kl,Nla->Nka", L, gate * E)
        u, slope, curvature = activation(a)
        E = slope[:, :, None] * D
        passed.append((D, slope, curvature))
    value, z = np.sum(v * u, axis=1), np.einsum("Nk,Nka->Na", v, E)
    A = np.zeros((len(v), z.shape[1], z.shape[1]))
    for (D, slope, curvature), below in zip(
        reversed(passed), reversed((None, *between)), strict=True
    ):
        A += np.einsum("Nka,Nkb->Nab", (v * curvature)[:, :, None] * D, D, optimize=True)
        if below is not None:
            L, gate = below
            v = ((v * slope) @ L) * (1.0 if gate is None else gate)
    return value, z, A


@dataclass(frozen=True)
class Radial(Units):
    """sqrt(1 + |B_i x + e_i|^2)."""

    B: np.ndarray
    e: np.ndarray

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.B.shape[2]

    @property
    def width(self) -> int:
        """Number of units."""
        return len(self.B)

    def slope_bound(self) -> np.ndarray:
        """Return the Frobenius norms of B_i."""
        return np.sqrt(np.sum(self.B**2, axis=(1, 2)) + TINY)

    def weighted(self, v: np.ndarray, X: np.ndarray) -> Jet:
        """Return value, gradient and Hessian of v . u(x)."""
        q = np.einsum("kra,Na->Nkr", self.B, X) + self.e
        u = np.sqrt(1.0 + np.sum(q * q, axis=2))
        g = np.einsum("kra,Nkr->Nka", self.B, q) / u[:, :, None]
        gram = np.einsum("kra,krb->kab", self.B, self.B)
        share = v / u
        A = np.einsum("Nk,kab->Nab", share, gram)
        A -= np.einsum("Nka,Nkb->Nab", share[:, :, None] * g, g, optimize=True)
        return u @ v, np.einsum("k,Nka->Na", v, g), A


@dataclass(frozen=True)
class Separable(Potential):
    """Phi = w . [units / slope bounds, 1/2 (r_k . x)^2, x].

    Attributes
    ----------
    units : sequence of Units
        The network, and radial units beside it or not.
    axes : (q, n)
        Directions r_k.
    w : (m,)
        Weights.
    normalised : bool
        Whether units are divided by their slope bounds.
    """

    units: Sequence[Units]
    axes: np.ndarray
    w: np.ndarray
    normalised: bool

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.units[0].n

    @cached_property
    def parts(self) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """The weights of every kind of units, of quadratics, and of x."""
        ends = np.cumsum([0, *(units.width for units in self.units), len(self.axes)])
        *own, quadratic = (self.w[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True))
        if self.normalised:
            own = [v / units.slope_bound() for v, units in zip(own, self.units, strict=True)]
        return own, quadratic, self.w[ends[-1] :]

    def jet(self, X: np.ndarray) -> Jet:
        """Return Phi, its gradient and its Hessian."""
        own, quadratic, free = self.parts
        along = X @ self.axes.T
        value = 0.5 * along**2 @ quadratic + X @ free
        z = (along * quadratic) @ self.axes + free
        A = np.tile((self.axes.T * quadratic) @ self.axes, (len(X), 1, 1))
        for v, units in zip(own, self.units, strict=True):
            one = units.weighted(v, X)
            value, z, A = value + one[0], z + one[1], A + one[2]
        return value, z, A


def _row_norms(K: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(K * K, axis=1) + TINY)
