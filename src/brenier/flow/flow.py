r"""A density from a convex potential, or a composition of several, given a context or not.

With the preprocessing y = T(x) and the map z = grad Phi(y), Jacobian A(y) = hess Phi(y),

    log p(x) = -1/2 |z|^2 - (n/2) log 2 pi + log det A(y) + log |det dT/dx|.

Where the map is a composition, log det A is the sum of its maps', each where the ones before it
lead. Where the potential depends on a context, rows are the targets' columns, then the context's;
every formula is that of the targets at fixed context. With a tail (`brenier.flow.tail`), which
conditional densities have where held-out rows ask for it, z is mapped once more.
"""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from brenier.arrays import LOG_2_PI, Array
from brenier.flow.column_order import context_scaling
from brenier.flow.inverse import Inversion, invert_each, together
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.flow.pure import AbstractPure, rows_of
from brenier.flow.tail import Tail
from brenier.potential.features import AbstractMap


class ConvexFlow(AbstractPure):
    """The flow: data -> preprocessing -> gradients of potentials (-> tail) -> standard normal.

    Every method is a pure function of arrays, of one row or of many (`brenier.flow.pure`); enter
    `jax.enable_x64(True)` for float64.

    Examples
    --------
    >>> import jax
    >>> from brenier import ConvexPotentialFlow
    >>> from brenier.data.datasets import MAFMoon
    >>> X = MAFMoon().sample(300, random_state=0)
    >>> flow = ConvexPotentialFlow(widths=(8,), max_iter=20).fit(X).flow_
    >>> with jax.enable_x64(True):
    ...     slope = jax.jit(jax.grad(flow.log_density))(X[0])
    >>> slope.shape
    (2,)
    """

    preprocessing: AbstractPreprocessing
    map: AbstractMap
    tail: Tail | None = None

    @property
    def n(self) -> int:
        """Number of columns, the context's not counted."""
        return self.map.n

    @property
    def n_context(self) -> int:
        """Number of columns of the context, which follow in a row."""
        scaling = context_scaling(self.preprocessing)
        return 0 if scaling is None else len(scaling.mean)

    @property
    def limits(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Least and largest values of the columns, in data units; infinite where there is none."""
        bounds = self.preprocessing.column_bounds
        return np.asarray(bounds.low), np.asarray(bounds.high)

    def log_density(self, X: Float[Array, "*N d"]) -> Float[Array, "*N"]:
        """Return log p(x) in nats; minus infinity outside the bounds and where p underflows."""
        shape, X = X.shape[:-1], rows_of(X, self)
        Y, log_det_preprocessing = self.preprocessing.forward(X)
        z, log_det_map = self._image(Y)
        normal = -0.5 * jnp.sum(z * z, axis=0) - 0.5 * self.n * LOG_2_PI
        value = normal + log_det_map + log_det_preprocessing
        # So far out that |z|^2 overflows, the density is zero to every digit.
        value = jnp.where(jnp.all(jnp.isfinite(z), axis=0) & jnp.isfinite(value), value, -jnp.inf)
        return jnp.where(self.preprocessing.inside(X), value, -jnp.inf).reshape(shape)

    def transform(self, X: Float[Array, "*N d"]) -> Float[Array, "*N n"]:
        """Return z, the image of the rows under the map; NaN outside the bounds."""
        shape, X = X.shape[:-1], rows_of(X, self)
        Y, _ = self.preprocessing.forward(X)
        z, _ = self._image(Y)
        Z = self.preprocessing.images(z.T)
        Z = jnp.where(self.preprocessing.inside(X)[:, None], Z, jnp.nan)
        return Z.reshape(*shape, self.n)

    def inverse(self, Z: Float[Array, "*N d"]) -> tuple[Float[Array, "*N n"], Inversion]:
        """Return the rows x whose images are z, and how well each was solved for.

        Rows of Z are images, then the context's columns. The certificate is in the potential's
        coordinates, after preprocessing, and of all maps together.
        """
        shape, Z = Z.shape[:-1], rows_of(Z, self)
        inversion = together(self.map, self.map_inversions(Z))
        context = self.preprocessing.context(Z[:, self.n :])
        X = self.preprocessing.inverse(jnp.concatenate([inversion.X, context], axis=1))
        return X.reshape(*shape, self.n), inversion.shaped(shape)

    def sample(
        self,
        key: PRNGKeyArray,
        shape: tuple[int, ...] = (),
        context: Float[Array, "*_ q"] | None = None,
    ) -> Float[Array, "*shape n"]:
        """Return rows drawn from the density; NaN where a normal point has no preimage.

        Parameters
        ----------
        key : PRNG key
            As of `jax.random.key`.
        shape : tuple of int
            Leading shape of the rows.
        context : (q,) or (*shape, q), optional
            Of a conditional density: that of all rows, or of each.
        """
        Z = self.preprocessing.images(jax.random.normal(key, (prod(shape), self.n)))
        if context is not None:
            given = jnp.broadcast_to(context, (*shape, context.shape[-1]))
            Z = jnp.concatenate([Z, given.reshape(len(Z), context.shape[-1])], axis=1)
        X, inversion = self.inverse(Z)
        return jnp.where(inversion.converged[:, None], X, jnp.nan).reshape(*shape, self.n)

    def map_inversions(self, Z: Float[Array, "N d"]) -> tuple[Inversion, ...]:
        """Return how well each map was inverted, that of the one applied first in front."""
        Z = jnp.asarray(Z)
        context = self.preprocessing.context(Z[:, self.n :])
        targets = self.preprocessing.of_images(Z[:, : self.n])
        if self.tail is not None:
            targets = self.tail.inverse(targets)
        return invert_each(self.map, targets, context)

    def _image(self, Y: Float[Array, "N d"]) -> tuple[Float[Array, "n N"], Float[Array, " N"]]:
        """Return z of preprocessed rows and the map's log det there."""
        # Rows of NumPy's float64 are taken in JAX's precision.
        z, (first, *others) = self.map.image_and_hessians(jnp.asarray(Y))
        total = first.log_det()
        for A in others:
            total += A.log_det()
        if self.tail is None:
            return z, total
        z, log_det_tail = self.tail.forward(z)
        return z, total + log_det_tail
