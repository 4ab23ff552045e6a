"""A fitted density as a distribution of NumPyro: a posterior becomes a prior.

Needs NumPyro: `pip install "brenier[numpyro]"`. Only this module imports it.

`log_prob` and `sample` are pure functions of arrays (`brenier.flow.pure`), so that models compile,
NUTS finds derivatives, and nothing calls back to Python. For BlackJAX, or any sampler that takes a
log-density in JAX, no distribution is needed: `flow.density_.log_density` is one.
"""

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Bool, Float, PRNGKeyArray
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import Transform
from numpyro.distributions.util import validate_sample

from brenier.arrays import Array
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds
from brenier.flow.pure import AbstractPure


class ConvexPotential(dist.Distribution):
    """A fitted density, as a prior or, given a context, as a likelihood.

    Parameters
    ----------
    flow : estimator or AbstractPure
        A fitted `ConvexPotentialFlow`, `ConvexPotentialMixture`, `TriangularConvexPotentialFlow` or
        `ConditionalConvexPotentialFlow`, or the `density_` of one.
    context : (*batch, q), optional
        Of a conditional density.
    validate_args : bool, optional
        As of every distribution of NumPyro.

    Attributes
    ----------
    density : AbstractPure
        The density in JAX.

    Examples
    --------
    A prior learnt from draws, in a model of later data::

        prior = ConvexPotential(brenier.load("posterior.brenier"))

        def model(y):
            theta = numpyro.sample("theta", prior)
            numpyro.sample("y", dist.Normal(theta[0], 0.5), obs=y)
    """

    arg_constraints: dict[str, Any] = {}
    pytree_data_fields = ("density", "context")

    def __init__(self, flow, context=None, *, validate_args=None):
        density = flow if isinstance(flow, AbstractPure) else flow.density_
        given = None if context is None else jnp.asarray(context)
        q = 0 if given is None else given.shape[-1]
        if q != density.n_context:
            raise ValueError(
                f"Expected a context of {density.n_context} columns; got {q}. Give it as context=, "
                "to a conditional density alone."
            )
        self.density, self.context = density, given
        batch = () if given is None else given.shape[:-1]
        super().__init__(batch, (density.n,), validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """All rows strictly within the bounds."""
        low, high = self.density.limits
        if not np.any(np.isfinite([low, high])):
            return constraints.real_vector
        return Within(ColumnBounds(low, high))

    @validate_sample
    def log_prob(
        self, value: Float[Array, "*N n"], intermediates: Any = None
    ) -> Float[Array, "*batch"]:
        """Return log p of every row (nats)."""
        if self.context is None:
            return self.density.log_density(value)
        shape = jnp.broadcast_shapes(value.shape[:-1], self.context.shape[:-1])
        parts = (jnp.broadcast_to(x, (*shape, x.shape[-1])) for x in (value, self.context))
        return self.density.log_density(jnp.concatenate([*parts], axis=-1))

    def sample(
        self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()
    ) -> Float[Array, "*shape n"]:
        """Return rows drawn from the density."""
        shape = (*sample_shape, *self.batch_shape)
        if self.context is None or not isinstance(self.density, ConvexFlow):
            return self.density.sample(key, shape)
        return self.density.sample(key, shape, self.context)


class Within(constraints.Constraint):
    """Rows strictly within the bounds of their columns.

    Parameters
    ----------
    bounds : ColumnBounds
        Bounds, infinite where there is none.
    """

    event_dim = 1

    def __init__(self, bounds: ColumnBounds):
        self.bounds = bounds

    def __call__(self, x: Float[Array, "*N n"]) -> Bool[Array, "*N"]:
        """Return which rows are."""
        inside: Any = (x > self.bounds.low) & (x < self.bounds.high)
        return inside.all(axis=-1)

    def feasible_like(self, prototype: Float[Array, "*N n"]) -> Float[Array, "*N n"]:
        """Return rows that are, as many as there are in `prototype`."""
        return _Bounded(self.bounds)(jnp.zeros_like(prototype))

    def eq(self, other: object, static: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return whether other constraints are the same; NumPyro's signature."""
        return isinstance(other, Within) and self.bounds == other.bounds

    def tree_flatten(self) -> tuple[Any, Any]:
        """Return the bounds as a leaf of a pytree."""
        return (self.bounds,), (("bounds",), {})


class _Bounded(Transform):
    """All rows of numbers onto those within bounds, by the maps that the flow itself has."""

    # NumPyro declares a property, and has attributes in its own classes.
    domain = constraints.real_vector  # pyright: ignore[reportAssignmentType]

    def __init__(self, bounds: ColumnBounds):
        self.bounds = bounds

    @property
    def codomain(self) -> constraints.Constraint:
        return Within(self.bounds)

    def __call__(self, x: Float[Array, "*N n"]) -> Float[Array, "*N n"]:
        return self.bounds.inverse(_rows(x)).reshape(x.shape)

    def _inverse(self, y: Float[Array, "*N n"]) -> Float[Array, "*N n"]:
        return jnp.asarray(self.bounds.forward(_rows(y))[0]).reshape(y.shape)

    def log_abs_det_jacobian(
        self, x: Float[Array, "*N n"], y: Float[Array, "*N n"], intermediates: Any = None
    ) -> Float[Array, "*N"]:
        return -jnp.asarray(self.bounds.forward(_rows(y))[1]).reshape(y.shape[:-1])

    def tree_flatten(self) -> tuple[Any, Any]:
        return (self.bounds,), (("bounds",), {})


@biject_to.register(Within)
def _biject_to_within(constraint: Within) -> _Bounded:
    return _Bounded(constraint.bounds)


def _rows(x: Float[Array, "*N n"]) -> jax.Array:
    return jnp.asarray(x).reshape(prod(x.shape[:-1]), x.shape[-1])
