"""Potentials of targets given a context: `brenier.potential.conditional` in NumPy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from brenier.scoring.activations import Jet
from brenier.scoring.potential import TINY, Layer, Potential, weighted_layers


@dataclass(frozen=True)
class Affine:
    """h -> W h + b."""

    W: np.ndarray
    b: np.ndarray

    def __call__(self, h: np.ndarray) -> np.ndarray:
        """Return W h + b of every row."""
        return h @ self.W.T + self.b


@dataclass(frozen=True)
class Gated(Potential):
    """Phi = w . f(y; c): units with gates, quadratics without and with gates, free features.

    Attributes are named as in `brenier.potential.picnn` and `brenier.potential.conditional`.
    """

    context: Sequence[Affine]
    shift: Affine
    S: np.ndarray
    K: Sequence[np.ndarray]
    bias: Sequence[Affine]
    L: Sequence[np.ndarray]
    gate: Sequence[Affine]
    unit_gates: Affine
    quadratic_gates: Affine
    axes: np.ndarray
    w: np.ndarray
    activation: Callable[[np.ndarray], Jet]

    @property
    def n(self) -> int:
        """Number of targets."""
        return len(self.S)

    def jet(self, X: np.ndarray) -> Jet:
        """Return Phi, its gradient and its Hessian in the targets."""
        n, d = self.n, len(self.K[-1])
        y, h = X[:, :n], X[:, n:]
        for layer in self.context:
            h = np.tanh(layer(h))
        e = np.concatenate([X[:, n:], h], axis=1)
        residual, scale = y - self.shift(e), np.exp(h @ self.S.T)
        gates = [_sigmoid(gate(h)) for gate in self.gate]
        value, z, A = self._of_units(self.w[:d], h, residual * scale, scale, gates)
        axes = np.concatenate([self.axes, np.repeat(self.axes, self._repeats, axis=0)])
        quadratic = np.concatenate([np.ones_like(y), _sigmoid(self.quadratic_gates(h))], axis=1)
        end = d + quadratic.shape[1]
        quadratic = quadratic * self.w[d:end]
        free = np.concatenate([np.ones((len(X), 1)), e], axis=1) @ self.w[end:].reshape(-1, n)
        along = residual @ axes.T
        value = value + 0.5 * np.sum(quadratic * along**2, axis=1) + np.sum(free * y, axis=1)
        z = z + (quadratic * along) @ axes + free
        return value, z, A + np.einsum("Nk,ka,kb->Nab", quadratic, axes, axes, optimize=True)

    @property
    def _repeats(self) -> int:
        return len(self.quadratic_gates.b) // self.n

    def _of_units(
        self,
        w: np.ndarray,
        h: np.ndarray,
        targets: np.ndarray,
        scale: np.ndarray,
        gates: Sequence[np.ndarray],
    ) -> Jet:
        """Return the jet of the units, each with its gate and divided by its slope bound."""
        pairs = [*zip(self.K, self.bias, strict=True)]
        layers = [Layer(K[None] * scale[:, None, :], targets @ K.T + b(h)) for K, b in pairs]
        between = [*zip(self.L, gates, strict=True)]
        c = np.sqrt(scale**2 @ (self.K[0] ** 2).T + TINY)
        for K, (L, gate) in zip(self.K[1:], between, strict=True):
            c = (c * gate) @ L.T + np.sqrt(scale**2 @ (K**2).T + TINY)
        v = w * _sigmoid(self.unit_gates(h)) / c
        return weighted_layers(v, layers, between, self.activation)


def _sigmoid(a: np.ndarray) -> np.ndarray:
    tail = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, tail) / (1.0 + tail)
