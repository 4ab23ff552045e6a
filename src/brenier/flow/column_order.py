"""Columns in an order of their own before anything else, and images back in that of the columns.

With the permutation P of the columns, x -> T(P x) is preprocessing like any other, and z -> P^T z
leaves a standard normal as it is. A density that is fitted in an order which the contents of the
columns give, and that is told from outside in the order they came in, does not depend on that.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from brenier.arrays import Array
from brenier.flow.context import ContextScaling, Curve
from brenier.flow.preprocessing import (
    AbstractPreprocessing,
    ColumnBounds,
    ConditionalPreprocessing,
    Preprocessing,
)


class OrderedPreprocessing(AbstractPreprocessing):
    """Preprocessing of columns that are put in another order first.

    Attributes
    ----------
    inner : AbstractPreprocessing
        Of the columns in that order.
    order : (n,)
        Which column comes first, second, ...
    context_order : (q,)
        The same of a context's columns.
    """

    inner: AbstractPreprocessing
    order: Int[Array, " n"]
    context_order: Int[Array, " q"]

    @property
    def column_bounds(self) -> ColumnBounds:
        """Bounds of the columns as they come."""
        bounds, back = self.inner.column_bounds, self.order.argsort()
        return ColumnBounds(bounds.low[back], bounds.high[back], bounds.probit)

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.inner.n

    def inside(self, X: Float[Array, "N d"]) -> Array:
        """Return which rows lie strictly within all bounds, (N,)."""
        return self.inner.inside(self._ordered(X))

    def forward(self, X: Float[Array, "N d"]) -> tuple[Float[Array, "N d"], Float[Array, " N"]]:
        """Return the preprocessed rows, in the other order, and log |det| of the map there."""
        return self.inner.forward(self._ordered(X))

    def inverse(self, Y: Float[Array, "N d"]) -> Float[Array, "N n"]:
        """Return the rows in data units, without context, of rows as `forward` gives them."""
        return self.inner.inverse(Y)[:, self.order.argsort()]

    def context(self, X: Float[Array, "N q"]) -> Float[Array, "N q"]:
        """Return the preprocessed context, in the other order."""
        return self.inner.context(X[:, self.context_order])

    def images(self, Z: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return images with a column for each of the data's, in their order."""
        return Z[:, self.order.argsort()]

    def of_images(self, Z: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return what `images` made images of."""
        return Z[:, self.order]

    def _ordered(self, X: Float[Array, "N d"]) -> Float[Array, "N d"]:
        xp: Any = np if isinstance(self.order, np.ndarray) else jnp
        return X[:, xp.concatenate([self.order, self.n + self.context_order])]


def own_columns(
    preprocessing: AbstractPreprocessing,
) -> tuple[Preprocessing, Int[np.ndarray, " n"]]:
    """Return the preprocessing of the density's own columns, and the order it takes them in."""
    match preprocessing:
        case OrderedPreprocessing():
            own, _ = own_columns(preprocessing.inner)
            return own, np.asarray(preprocessing.order)
        case ConditionalPreprocessing(targets=targets):
            return targets, np.arange(targets.n)
        case Preprocessing():
            return preprocessing, np.arange(preprocessing.n)
    raise TypeError(f"Expected preprocessing that is known; got {preprocessing}.")


def context_scaling(preprocessing: AbstractPreprocessing) -> ContextScaling | None:
    """Return the scaling of a context's columns as they come; None where there is no context."""
    match preprocessing:
        case ConditionalPreprocessing(scaling=scaling):
            return scaling
        case OrderedPreprocessing(inner=ConditionalPreprocessing(scaling=scaling)):
            back = preprocessing.context_order.argsort()
            bent = scaling.curve
            return ContextScaling(
                mean=scaling.mean[back],
                scale=scaling.scale[back],
                low=scaling.low[back],
                high=scaling.high[back],
                curve=bent and Curve(bent.sign[back], bent.values[:, back], bent.scores[:, back]),
            )
    return None
