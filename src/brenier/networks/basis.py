r"""Basis functions: what outputs W^T f_mu(x) are linear in.

The network's outputs are followed by what needs no training: the inputs themselves and a constant,
so that the affine functions are always among the models; or a constant alone.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import TypeVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, library_of
from brenier.networks.tanh import TanhNetwork
from brenier.potential.features import AbstractTrained

Basis = TypeVar("Basis", bound="AbstractBasis")


class AbstractBasis(eqx.Module):
    """f_mu: m functions of n inputs. All that is trained of them, mu, is `network`."""

    network: eqx.AbstractVar[AbstractTrained]

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of inputs."""

    @property
    @abstractmethod
    def n_functions(self) -> int:
        """How many there are, m."""

    @property
    @abstractmethod
    def lower(self) -> Float[np.ndarray, " m"]:
        """Lower bounds of the functions' weights, minus infinity where these are free."""

    @abstractmethod
    def values(self, X: Float[Array, "N n"]) -> Float[Array, "N m"]:
        """Return f_mu of every row."""

    def with_network(self: Basis, network: AbstractTrained) -> Basis:
        """Return the same of other trained arrays."""
        return replace(self, network=network)


class NetworkBasis(AbstractBasis):
    """A tanh network's outputs, the inputs, and a constant: all weights are free.

    Attributes
    ----------
    network : TanhNetwork
        u_l.
    linear : bool
        Whether the inputs are among the functions, or outputs are read out of the units alone.
    """

    network: TanhNetwork
    linear: bool = eqx.field(static=True, default=True)

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.network.n

    @property
    def n_functions(self) -> int:
        """The network's width, the inputs if they are there, and one."""
        return self.network.width + self.n * self.linear + 1

    @property
    def lower(self) -> Float[np.ndarray, " m"]:
        """No bounds."""
        return np.full(self.n_functions, -np.inf)

    def values(self, X: Float[Array, "N n"]) -> Float[Array, "N m"]:
        """Return u_l, x and 1."""
        u = self.network.value(X)
        of = library_of(u)
        inputs = [X] if self.linear else []
        return of.concatenate([u, *inputs, of.ones_like(X[:, :1])], axis=1)
