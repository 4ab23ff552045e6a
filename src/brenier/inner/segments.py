r"""The convex objective of rows that devices share in segments.

    J(w) = sum_s omega_s J_s(w) + 1/2 sum_i rho_i w_i^2,

J_s that of one segment's rows, without a ridge, and omega_s what they weigh together. Each
device holds those of its own segments.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, PyTree

from brenier.arrays import Array
from brenier.inner.objective import AbstractObjective, Evaluation
from brenier.program.devices import sum_over_segments


class SumOfSegments(AbstractObjective):
    """The sum of segments' objectives and a ridge.

    Attributes
    ----------
    arrays : pytree with leading axis
        What differs from one of this device's objectives to the next.
    rest : pytree
        What they have in common.
    omega : (S,)
        Their weights.
    ridge : (m,)
        rho.
    """

    arrays: PyTree
    rest: Any
    omega: Float[Array, " S"]
    ridge: Float[Array, " m"]

    @staticmethod
    def of(
        made: Callable[[Any], AbstractObjective],
        segments: PyTree,
        omega: Float[Array, " S"],
        ridge: Float[Array, " m"],
    ) -> "SumOfSegments":
        """Return the weighted sum of what is made of each of this device's segments."""
        rest = []

        def arrays_of(segment: Any) -> PyTree:
            arrays, others = eqx.partition(made(segment), eqx.is_array)
            rest.append(others)
            return arrays

        arrays = jax.lax.map(arrays_of, segments)
        return SumOfSegments(arrays, rest[-1], omega, ridge)

    @property
    def rounding(self) -> float:
        """That of a segment's."""
        return self._of_segment(self.arrays).rounding

    def evaluate(
        self, w: Float[Array, " m"], *, with_hessian: bool | Bool[Array, ""] = True
    ) -> Evaluation:
        """Return J(w), its gradient and its Hessian, over all devices' segments."""

        def weighted(own: tuple[Array, PyTree]) -> Evaluation:
            omega, arrays = own
            found = self._of_segment(arrays).evaluate(w, with_hessian=with_hessian)
            return jax.tree.map(lambda leaf: omega * leaf, found)

        found = sum_over_segments(weighted, (self.omega, self.arrays))
        pull = self.ridge * w
        return Evaluation(
            value=found.value + 0.5 * pull @ w,
            gradient=found.gradient + pull,
            hessian=found.hessian + jnp.diag(self.ridge),
        )

    def _of_segment(self, arrays: PyTree) -> AbstractObjective:
        return eqx.combine(arrays, self.rest)
