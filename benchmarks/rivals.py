r"""The same features, loss and gradient by other means: nested differentiation, and hessQuik.

All take the thesis's form of the network, u_i = s(L_i u_{i-1} + K_i x + b_i) with s the softplus
and L_i = softplus(raw_i), and the head [u, x_1^2 / 2, ..., x_n^2 / 2, x].
"""

from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from brenier.potential.icnn import InputConvexNetwork
from brenier.varpro.parameters import from_vector


def missing_package() -> str | None:
    """Return which package hessQuik's figures lack, if one."""
    return next((name for name in ("torch", "hessQuik") if find_spec(name) is None), None)


def _value(network: InputConvexNetwork, x: jax.Array) -> jax.Array:
    """Return all features of one row, as one would write them down."""
    u = jax.nn.softplus(network.K[0] @ x + network.b[0])
    for raw, K, b in zip(network.L, network.K[1:], network.b[1:], strict=True):
        u = jax.nn.softplus(jax.nn.softplus(raw) @ u + K @ x + b)
    return jnp.concatenate([u, 0.5 * x**2, x])


class Nested:
    """JAX's automatic differentiation, nested."""

    def __init__(self, template: InputConvexNetwork, X: np.ndarray):
        self.template, self.X = template, jnp.asarray(X)
        self.features = jax.jit(self._features)
        self.loss_and_gradient = jax.jit(jax.value_and_grad(self._loss))

    def _features(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return gradients (N, m, n) and Hessians (N, m, n, n)."""
        network = from_vector(self.template, theta)

        def row(x):
            def value(x):
                return _value(network, x)

            return jax.jacfwd(value)(x), jax.hessian(value)(x)

        return jax.vmap(row)(self.X)

    def _loss(self, theta: jax.Array, w: jax.Array) -> jax.Array:
        """Return J."""
        network = from_vector(self.template, theta)

        def potential(x):
            return _value(network, x) @ w

        def row(x):
            z = jax.grad(potential)(x)
            return 0.5 * z @ z - jnp.linalg.slogdet(jax.hessian(potential)(x))[1]

        return jnp.mean(jax.vmap(row)(self.X))


class HessQuik:
    """hessQuik's ICNN (PyTorch): derivatives in x by its formulas, in mu by torch's autograd."""

    def __init__(self, network: InputConvexNetwork, X: np.ndarray):
        import torch
        from hessQuik.activations import softplusActivation
        from hessQuik.networks import ICNN

        self.torch = torch
        self.X = torch.tensor(X)
        widths = [len(b) for b in network.b]
        # Beyond its threshold hessQuik's softplus is linear: at 40 exactly so in float64.
        activation = softplusActivation(threshold=40.0)
        self.network = ICNN(network.n, [None, *widths], act=activation, dtype=torch.float64)
        with torch.no_grad():
            for layer, K, b in zip(self.network, network.K, network.b, strict=True):
                layer.K.copy_(torch.tensor(np.asarray(K).T))
                layer.b.copy_(torch.tensor(np.asarray(b)))
            for layer, raw in zip(list(self.network)[1:], network.L, strict=True):
                layer.L.copy_(torch.tensor(np.asarray(raw).T))

    def features(self) -> tuple[Any, Any]:
        """Return gradients (N, n, d + n) and Hessians (N, n, n, d + n) of network and x."""
        with self.torch.no_grad():
            return self.network(self.X, do_gradient=True, do_Hessian=True)[1:]

    def loss_and_gradient(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J and its gradient in mu, in the order of `brenier.varpro.parameters`."""
        n, parameters = self.X.shape[1], self._parameters()
        weights = self.torch.tensor(np.array(w))
        quadratic, affine = weights[-2 * n : -n], self.torch.cat([weights[: -2 * n], weights[-n:]])
        _, gradients, hessians = self.network(self.X, do_gradient=True, do_Hessian=True)
        z = gradients @ affine + self.X * quadratic
        A = hessians @ affine + self.torch.diag(quadratic)
        loss = (0.5 * (z * z).sum(dim=1) - self.torch.logdet(A)).mean()
        found = self.torch.autograd.grad(loss, parameters)
        # Its matrices are the transposes of ours.
        return float(loss.detach()), np.concatenate([part.numpy().T.ravel() for part in found])

    def _parameters(self) -> list[Any]:
        layers = list(self.network)
        return [
            *(layer.K for layer in layers),
            *(layer.b for layer in layers),
            *(layer.L for layer in layers[1:]),
        ]


def assert_close(ours: Any, theirs: Any, tolerance: float = 1e-8) -> None:
    """Raise where two arrays differ by more than `tolerance` of the larger one's largest entry."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    error = np.max(np.abs(ours - theirs)) / np.max(np.abs(ours))
    if not error <= tolerance:
        raise AssertionError(f"Expected agreement to {tolerance:g}; got {error:.2g}.")
