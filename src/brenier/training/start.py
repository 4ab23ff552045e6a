"""Where a search starts: initial weights, the separable problem there, and feasible w."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.potential.features import AbstractFeatures
from brenier.potential.gaussian import AbstractGaussian, Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import initial_network, initial_radial_units
from brenier.potential.radial import RadialUnits
from brenier.potential.units import AbstractUnits, ConcatenatedUnits
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.reduced import VariableProjection

# Ridge on the network's weights (nats per squared standard deviation of z that a feature can add).
RIDGE = 1e-8


class AbstractStart(ABC):
    """Initial weights of all forms of a model."""

    @abstractmethod
    def features(
        self, form: Hyperparameters, settings: Settings, gaussian: Any
    ) -> AbstractFeatures:
        """Return the features of a form at these weights."""


class AbstractModel(ABC):
    """What kind of features is trained: its candidate 0, and where a search for it starts."""

    @abstractmethod
    def gaussian(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"], shrinkage: float
    ) -> AbstractGaussian:
        """Return candidate 0 of weighted rows; `shrinkage` of its correlations."""

    @abstractmethod
    def start(
        self, X: Float[np.ndarray, "N d"], settings: Settings, rng: np.random.Generator
    ) -> AbstractStart:
        """Return freshly drawn initial weights, placed by the rows X."""

    @abstractmethod
    def floor_and_ridge(
        self, features: Any, settings: Settings, gaussian: Any
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return the floor (minus infinity for none) and the ridge of every last weight."""

    def problem(
        self,
        features: AbstractFeatures,
        form: Hyperparameters,
        settings: Settings,
        gaussian: AbstractGaussian,
    ) -> VariableProjection:
        """Return the separable problem of features in a form of the model."""
        floor, ridge = self.floor_and_ridge(features, settings, gaussian)
        return VariableProjection(features, floor, ridge, settings.solver, np.asarray(form.decay))

    @abstractmethod
    def gaussian_weights(self, features: Any, gaussian: Any) -> Float[np.ndarray, " m"]:
        """Return the w that makes the features candidate 0, where it is inside the model."""

    @abstractmethod
    def cold_weights(self, features: Any, gaussian: Any) -> Float[np.ndarray, " m"]:
        """Return strictly feasible w near candidate 0, with a little of every feature."""


@dataclass(frozen=True)
class Start(AbstractStart):
    """Initial weights: the network, and as many radial as any form has."""

    network: InputConvexNetwork
    radial: RadialUnits

    @staticmethod
    def draw(X: Float[np.ndarray, "N n"], settings: Settings, rng: np.random.Generator) -> "Start":
        """Return freshly drawn weights, placed by the rows X."""
        network = initial_network(
            X, settings.widths, settings.activation, settings.nonnegativity, rng
        )
        n_radial = max((form.n_radial for form in settings.forms), default=0)
        return Start(network, initial_radial_units(X, n_radial, rng))

    def units(self, n_radial: int) -> AbstractUnits:
        """Return the network with its first `n_radial` radial beside it."""
        if n_radial == 0:
            return self.network
        return ConcatenatedUnits(
            (self.network, RadialUnits(self.radial.B[:n_radial], self.radial.e[:n_radial]))
        )

    def features(
        self, form: Hyperparameters, settings: Settings, gaussian: Gaussian
    ) -> SeparableFeatures:
        """Return the features of a form at these weights."""
        axes = gaussian.axes if settings.quadratic else np.zeros((0, self.network.n))
        return SeparableFeatures(self.units(form.n_radial), axes, normalised=settings.quadratic)


class JointModel(AbstractModel):
    """The density of all columns: `SeparableFeatures`."""

    def gaussian(
        self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], shrinkage: float
    ) -> Gaussian:
        """Return the Gaussian fit."""
        return Gaussian.fit(X, weights, shrinkage)

    def start(
        self, X: Float[np.ndarray, "N n"], settings: Settings, rng: np.random.Generator
    ) -> Start:
        """Return a network and radial placed by the rows."""
        return Start.draw(X, settings, rng)

    def floor_and_ridge(
        self, features: SeparableFeatures, settings: Settings, gaussian: Gaussian
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return floors of network and quadratics, and the network's ridge."""
        width, n = features.network.width, features.n
        quadratic_floor = settings.w_min / gaussian.sd if settings.quadratic else np.zeros(0)
        floor = np.concatenate([np.zeros(width), quadratic_floor, np.full(n, -np.inf)])
        ridge = np.zeros(len(floor))
        ridge[:width] = RIDGE
        return floor, ridge

    def gaussian_weights(
        self, features: SeparableFeatures, gaussian: Gaussian
    ) -> Float[np.ndarray, " m"]:
        """Return no weight on the network, and the Gaussian's."""
        return gaussian.weights(features.network.width)

    def cold_weights(
        self, features: SeparableFeatures, gaussian: Gaussian
    ) -> Float[np.ndarray, " m"]:
        """Return the Gaussian's w, with a little of every network feature."""
        width = features.network.width
        if not len(features.axes):
            return np.concatenate([np.ones(width), np.zeros(features.n)])
        w = gaussian.weights(width)
        w[:width] = 0.1 / width
        return w
