"""Where a search starts: initial weights, the separable problem there, and feasible w."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.inner.solution import WarmStart
from brenier.outer.gaussian import Gaussian
from brenier.outer.reduced import VariableProjection
from brenier.outer.settings import Form, Settings
from brenier.potential.cones import Cones
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import cones_in_data, kinks_in_data
from brenier.potential.units import AbstractUnits, SideBySide

# Ridge on the network's weights (nats per squared standard deviation of z that a feature can add).
RIDGE = 1e-8


@dataclass(frozen=True)
class Start:
    """Initial weights: the network, and as many cones as any form has."""

    network: InputConvexNetwork
    cones: Cones

    @staticmethod
    def draw(X: Float[np.ndarray, "N n"], settings: Settings, rng: np.random.Generator) -> "Start":
        """Return freshly drawn weights, placed by the rows X."""
        network = kinks_in_data(
            X, settings.widths, settings.activation, settings.nonnegativity, rng
        )
        n_cones = max((form.n_cones for form in settings.forms), default=0)
        return Start(network, cones_in_data(X, n_cones, rng))

    def units(self, n_cones: int) -> AbstractUnits:
        """Return the network with its first `n_cones` cones beside it."""
        if n_cones == 0:
            return self.network
        return SideBySide((self.network, Cones(self.cones.B[:n_cones], self.cones.e[:n_cones])))

    def problem(self, form: Form, settings: Settings, gaussian: Gaussian) -> VariableProjection:
        """Return the separable problem of a form at these weights."""
        units, n = self.units(form.n_cones), self.network.n
        axes = gaussian.axes if settings.quadratic else np.zeros((0, n))
        quadratic_floor = settings.w_min / gaussian.sd if settings.quadratic else np.zeros(0)
        floor = np.concatenate([np.zeros(units.width), quadratic_floor, np.full(n, -np.inf)])
        features = SeparableFeatures(units, axes, normalised=settings.quadratic)
        ridge = np.zeros(len(floor))
        ridge[: units.width] = RIDGE
        return VariableProjection(features, floor, ridge, settings.solver, np.asarray(form.decay))


def cold_start(problem: VariableProjection, gaussian: Gaussian) -> WarmStart:
    """Return strictly feasible w: the Gaussian's, with a little of every network feature."""
    features = problem.template
    width = features.network.width
    if not len(features.axes):
        w = np.concatenate([np.ones(width), np.zeros(features.n)])
        return WarmStart.cold(jnp.asarray(w))
    w = gaussian.weights(width)
    w[:width] = 0.1 / width
    return WarmStart.cold(jnp.asarray(w))
