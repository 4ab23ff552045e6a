"""The design's formulas once more, as slow and plain as they are written: what tests compare with.

Derivatives in x and in weights come from automatic differentiation of values at one point, the
inner problem's sums over samples and features are loops, and nothing is packed or shared with the
library.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf

ACTIVATIONS = {
    "softplus": lambda a: jnp.log(1 + jnp.exp(a)),
    "gaussian-softplus": lambda a: (
        a * (1 + erf(a / jnp.sqrt(2))) / 2 + jnp.exp(-(a**2) / 2) / jnp.sqrt(2 * jnp.pi)
    ),
    "squareplus": lambda a: (a + jnp.sqrt(a**2 + 4)) / 2,
}
NONNEGATIVITY = {"bounds": lambda raw: raw, "softplus": lambda raw: jnp.log(1 + jnp.exp(raw))}

# The potential. K, b, L are lists over layers, L the non-negative matrices themselves; `radial` is
# a list of pairs (B_i, e_i). Either may be empty.


def radial_unit(x, B, e):
    """Return sqrt(1 + |B x + e|^2) at one x."""
    q = B @ x + e
    return jnp.sqrt(1.0 + q @ q)


def slope_bound(K, L, radial=()):
    """Return c_1 = |K_1|, c_i = L_i c_{i-1} + |K_i|, then the Frobenius norms |B_i|."""
    c = layer_slope_bound(K, L) if len(K) else jnp.zeros(0)
    of_radial = [jnp.sqrt(jnp.sum(B**2)) for B, _ in radial]
    return jnp.concatenate([c, jnp.array(of_radial)])


def layer_slope_bound(K, L):
    """Return c_1 = |K_1|, c_i = L_i c_{i-1} + |K_i|."""
    c = jnp.linalg.norm(K[0], axis=1)
    for L_i, K_i in zip(L, K[1:], strict=True):
        c = L_i @ c + jnp.linalg.norm(K_i, axis=1)
    return c


def last_layer(x, K, b, L, s):
    """Return u_{l-1}(x) at one x."""
    u = s(K[0] @ x + b[0])
    for L_i, K_i, b_i in zip(L, K[1:], b[1:], strict=True):
        u = s(L_i @ u + K_i @ x + b_i)
    return u


def features(x, K, b, L, s, axes, *, normalised, radial=()):
    """Return f_mu(x) = [u_{l-1} / c, radial / c, 1/2 (r_k . x)^2, x] at one x."""
    u = last_layer(x, K, b, L, s) if len(K) else jnp.zeros(0)
    u = jnp.concatenate([u, jnp.array([radial_unit(x, B, e) for B, e in radial])])
    if normalised:
        u = u / slope_bound(K, L, radial)
    return jnp.concatenate([u, 0.5 * (axes @ x) ** 2, x])


def context_view(c, units):
    """Return h and e = [c, h] at one context."""
    h = c
    for layer in units.context:
        h = jnp.tanh(layer.W @ h + layer.b)
    return h, jnp.concatenate([c, h])


def sigmoid(a):
    """Return 1 / (1 + exp(-a))."""
    return 1 / (1 + jnp.exp(-a))


def conditional_features(y, c, network, s, axes):
    """Return f_mu(y; c) = [u g / c, 1/2 (r . y^)^2, 1/2 (r . y^)^2 q, y, y e_1, ...] at one row."""
    units = network.units
    h, e = context_view(c, units)
    shifted = y - units.shift.W @ e - units.shift.b
    scale = jnp.exp(units.S @ h)
    u, bound = None, None
    for i, (K, bias) in enumerate(zip(units.K, units.bias, strict=True)):
        a = K @ (shifted * scale) + bias.W @ h + bias.b
        slope = jnp.linalg.norm(K * scale, axis=1)
        if i:
            gate = sigmoid(units.gate[i - 1].W @ h + units.gate[i - 1].b)
            a, slope = a + units.L[i - 1] @ (gate * u), slope + units.L[i - 1] @ (gate * bound)
        u, bound = s(a), slope
    gated = u * sigmoid(network.unit_gates.W @ h + network.unit_gates.b) / bound
    gates = sigmoid(network.quadratic_gates.W @ h + network.quadratic_gates.b)
    along = 0.5 * (axes @ shifted) ** 2
    quadratics = gates * jnp.repeat(along, len(gates) // len(axes))
    free = [y * factor for factor in (1.0, *e)]
    return jnp.concatenate([gated, along, quadratics, *free])


def derivatives(f, X):
    """Return the gradients (N, m, n) and Hessians (N, m, n, n) of all features."""
    return jax.vmap(jax.jacfwd(f))(X), jax.vmap(jax.hessian(f))(X)


def map_and_jacobian(f, w, X):
    """Return z_j = grad Phi(x_j), (N, n), and A_j = hess Phi(x_j), (N, n, n)."""

    def Phi(x):
        return w @ f(x)

    return jax.vmap(jax.grad(Phi))(X), jax.vmap(jax.hessian(Phi))(X)


def log_density(z, A):
    """Return log p(x_j) from z (N, n) and A (N, n, n)."""
    return np.array(
        [
            -0.5 * z_j @ z_j - len(z_j) / 2 * np.log(2 * np.pi) + np.log(np.linalg.det(A_j))
            for z_j, A_j in zip(z, A, strict=True)
        ]
    )


# The inner problem. G is (N, m, n), H is (N, k, n, n) with k <= m.


def loss(w, G, H, omega, ridge):
    """Return J(w), its gradient and its Hessian."""
    m, k = len(w), H.shape[1]
    J, gradient, hessian = 0.5 * np.sum(ridge * w**2), ridge * w, np.diag(ridge)
    for G_j, H_j, omega_j in zip(G, H, omega, strict=True):
        z = sum(w[i] * G_j[i] for i in range(m))
        A = sum(w[i] * H_j[i] for i in range(k))
        inverse = np.linalg.inv(A)
        J = J + omega_j * (0.5 * z @ z - np.log(np.linalg.det(A)))
        for i in range(m):
            gradient[i] += omega_j * G_j[i] @ z
            if i < k:
                gradient[i] -= omega_j * np.trace(inverse @ H_j[i])
            for l in range(m):  # noqa: E741
                hessian[i, l] += omega_j * G_j[i] @ G_j[l]
                if i < k and l < k:
                    hessian[i, l] += omega_j * np.trace(inverse @ H_j[i] @ inverse @ H_j[l])
    return J, gradient, hessian
