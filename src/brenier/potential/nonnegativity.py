"""How the hidden weights L stay non-negative: as they are within bounds, or through a softplus."""

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array


class AbstractNonnegativity(eqx.Module):
    """A map from the trained matrix to L >= 0, and the bound that training must respect."""

    @property
    @abstractmethod
    def lower_bound(self) -> float:
        """The least value of an entry of the trained matrix."""

    @abstractmethod
    def weights(self, raw: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return L from the trained matrix."""

    @abstractmethod
    def raw(self, weights: np.ndarray) -> np.ndarray:
        """Return a trained matrix whose L is `weights` (> 0)."""


class Bounded(AbstractNonnegativity):
    """L is trained as it is, under the bound L >= 0 (L-BFGS-B; other optimizers project)."""

    @property
    def lower_bound(self) -> float:
        """Zero."""
        return 0.0

    def weights(self, raw: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return L as it is."""
        return raw

    def raw(self, weights: np.ndarray) -> np.ndarray:
        """Return L as it is."""
        return weights


class SoftplusReparametrised(AbstractNonnegativity):
    """L = log(1 + exp(raw)), the thesis's form, trained without bounds."""

    @property
    def lower_bound(self) -> float:
        """Minus infinity."""
        return -np.inf

    def weights(self, raw: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return log(1 + exp(raw))."""
        return jax.nn.softplus(raw)

    def raw(self, weights: np.ndarray) -> np.ndarray:
        """Return log(exp(L) - 1), stable for small L."""
        return weights + np.log(-np.expm1(-weights))


NONNEGATIVITY: Mapping[str, AbstractNonnegativity] = MappingProxyType(
    {"bounds": Bounded(), "softplus": SoftplusReparametrised()}
)
"""The forms by the names the estimators accept."""
