r"""Cones: smooth convex units with a kink at a point, where a ridge unit has one along a plane.

    c_i(x) = sqrt(1 + |B_i x + e_i|^2).
"""

import os
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.linalg import UNROLL_LIMIT, pack, packed_size, diagonal_entries, pairs
from brenier.potential.jets import Jet


class Cones(eqx.Module):
    D: Float[Array, "k r n"]
    E: Float[Array, "k r"]

    def _parts(self, X):
        q = jnp.einsum("kra,ja->rjk", self.D, X) + self.E.T[:, None, :]
        v = jnp.sqrt(1.0 + jnp.sum(q * q, axis=0))
        g = jnp.einsum("kra,rjk->ajk", self.D, q) / v
        rows, cols = pairs(X.shape[1])
        BB = jnp.einsum("kra,krb->abk", self.D, self.D)[rows, cols]
        return BB, v, g

    def value(self, X):
        return self._parts(X)[1]

    def jet(self, X):
        BB, v, g = self._parts(X)
        rows, cols = pairs(X.shape[1])
        return Jet(jnp.concatenate([v[None], g, (BB[:, None, :] - g[rows] * g[cols]) / v]))

    def weighted(self, w, X):
        from brenier.potential.icnn import weighted_outer
        BB, v, g = self._parts(X)
        u = w / v
        return g @ w, BB @ u.T - weighted_outer(u, g)

    def slope_bound(self):
        return jnp.sqrt(jnp.sum(self.D * self.D + 1e-24, axis=(1, 2)) / self.D.shape[1])
