r"""The density of one or two columns given the others, by quadrature of the joint one.

With the given values v,

    p(t | v) = p(t, v) / Z,    Z = int p(t, v) dt = p(v).

Of two columns the inner integral is taken at every node of the outer one,

    Z = int ( int p(s, t, v) dt ) ds,

so that draws, quantiles and means are those of the first column, and of the second given the first.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from brenier.marginal.joint import Coordinates, Joint
from brenier.marginal.quadrature import LogFunction, Panels, edges_of, integrate

Nodes = tuple[Float[np.ndarray, " Q"], Float[np.ndarray, " Q"]]


@dataclass(frozen=True)
class Free:
    """Which columns of a joint density are free, and values of the others, for K rows.

    Attributes
    ----------
    joint : Joint
        The density.
    columns : (m,)
        Which columns are free.
    values : (K, n)
        The others' coordinates; those of the free ones are not looked at.
    """

    joint: Joint
    columns: Int[np.ndarray, " m"]
    values: Float[np.ndarray, "K n"]

    def log_density(
        self, which: Int[np.ndarray, " M"], T: Float[np.ndarray, "M m"]
    ) -> Float[np.ndarray, " M"]:
        """Return the logarithm of the joint density at rows with these free coordinates."""
        rows = self.values[which]
        rows[:, self.columns] = T
        return self.joint.log_density_of(rows)

    def fixed(self, which: Int[np.ndarray, " M"], first: Float[np.ndarray, " M"]) -> "Free":
        """Return M rows in which the first free column has these coordinates too."""
        values = self.values[which]
        values[:, self.columns[0]] = first
        return Free(self.joint, self.columns[1:], values)

    def edges(self) -> Float[np.ndarray, " E"]:
        """Return where panels of the first free column begin and end."""
        return edges_of(self.joint.draws[:, self.columns[0]])

    def panels(self) -> Panels:
        """Return the integrals over the first free column of all that is left."""
        inner: LogFunction = self._inner if len(self.columns) > 1 else self._at
        return integrate(inner, len(self.values), self.edges())

    def _at(self, which: np.ndarray, t: np.ndarray) -> np.ndarray:
        return self.log_density(which, t[:, None])

    def _inner(self, which: np.ndarray, t: np.ndarray) -> np.ndarray:
        return self.fixed(which, t).panels().log_integrals


class AbstractSlice(ABC):
    """A density of m columns given values of all others, in coordinates without bounds."""

    free: Free

    @property
    @abstractmethod
    def log_mass(self) -> float:
        """The logarithm of the joint density's integral, which is that of the given values."""

    @property
    def standard_error(self) -> float:
        """Standard error of `log_mass` (nats)."""
        return 0.0

    @abstractmethod
    def sample(self, N: int, rng: np.random.Generator) -> Float[np.ndarray, "N m"]:
        """Return draws."""

    @abstractmethod
    def nodes(self, j: int) -> Nodes:
        """Return coordinates of free column j, and weights: expectations are sums over them."""

    @abstractmethod
    def quantiles(self, levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k m"]:
        """Return quantiles of every column."""

    def mean(self, j: int, coordinates: Coordinates) -> float:
        """Return the mean of free column j in data units, by its own coordinates."""
        points, weights = self.nodes(j)
        # What has no weight may be beyond all numbers in data units.
        counted = weights > 0
        return float(weights[counted] @ coordinates.outward(points[counted, None])[:, 0])

    def log_density(self, T: Float[np.ndarray, "N m"]) -> Float[np.ndarray, " N"]:
        """Return the logarithm of the density of the free columns given the others."""
        return self.free.log_density(np.zeros(len(T), dtype=int), T) - self.log_mass


@dataclass(frozen=True)
class Line(AbstractSlice):
    """One column given all others."""

    free: Free

    @cached_property
    def panels(self) -> Panels:
        """The integral."""
        return self.free.panels()

    @property
    def log_mass(self) -> float:
        """The logarithm of the integral."""
        return float(self.panels.log_integrals[0])

    def sample(self, N: int, rng: np.random.Generator) -> Float[np.ndarray, "N 1"]:
        """Return draws by the inverse of the distribution function."""
        return self.quantiles(rng.random(N))

    def nodes(self, j: int) -> Nodes:
        """Return the nodes of all panels."""
        return self.panels.nodes.reshape(-1), self.panels.shares.reshape(-1)

    def quantiles(self, levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k 1"]:
        """Return quantiles."""
        return self.quantiles_of_first(levels)[:, None]

    def quantiles_of_first(self, levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Return quantiles of the column."""
        return self.panels.quantiles(np.zeros(len(levels), dtype=int), levels)


@dataclass(frozen=True)
class Plane(AbstractSlice):
    """Two columns given all others."""

    free: Free

    @cached_property
    def panels(self) -> Panels:
        """The integral over the first column of those over the second."""
        return self.free.panels()

    @property
    def log_mass(self) -> float:
        """The logarithm of the integral."""
        return float(self.panels.log_integrals[0])

    @cached_property
    def _second(self) -> "Plane":
        """The same with the columns in the other order."""
        return Plane(Free(self.free.joint, self.free.columns[::-1], self.free.values))

    def sample(self, N: int, rng: np.random.Generator) -> Float[np.ndarray, "N 2"]:
        """Return draws of the first column, and of the second given these."""
        uniform = rng.random((N, 2))
        first = self.panels.quantiles(np.zeros(N, dtype=int), uniform[:, 0])
        given = self.free.fixed(np.zeros(N, dtype=int), first).panels()
        return np.column_stack([first, given.quantiles(np.arange(N), uniform[:, 1])])

    def nodes(self, j: int) -> Nodes:
        """Return the nodes of the outer integral, the column being the first."""
        panels = (self, self._second)[j].panels
        return panels.nodes.reshape(-1), panels.shares.reshape(-1)

    def quantiles(self, levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k 2"]:
        """Return quantiles of both columns."""
        each = (plane.quantiles_of_first(levels) for plane in (self, self._second))
        return np.column_stack([*each])

    def quantiles_of_first(self, levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Return quantiles of the first column."""
        return self.panels.quantiles(np.zeros(len(levels), dtype=int), levels)


def mean_of(joint: Joint, columns: Int[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Return means of columns in data units, all others integrated out.

    Of more than two columns they are those of the draws.
    """
    if joint.n > 2:
        return np.mean(joint.coordinates[columns].outward(joint.draws[:, columns]), axis=0)
    return np.array([_first(joint, j).mean(0, joint.coordinates[[j]]) for j in columns.tolist()])


def quantiles_of(
    joint: Joint, columns: Int[np.ndarray, " m"], levels: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "k m"]:
    """Return quantiles of columns in data units, all others integrated out.

    Of more than two columns they are those of the draws.
    """
    if joint.n > 2:
        found = np.quantile(joint.draws[:, columns], levels, axis=0)
    else:
        each = (_first(joint, j).quantiles_of_first(levels) for j in columns.tolist())
        found = np.column_stack([*each])
    return joint.coordinates[columns].outward(found)


def _first(joint: Joint, j: int) -> "Line | Plane":
    """Return the density of one or two columns, given none, with the column j first."""
    columns = np.array([j, *(k for k in range(joint.n) if k != j)])
    free = Free(joint, columns, np.zeros((1, joint.n)))
    return Line(free) if joint.n == 1 else Plane(free)
