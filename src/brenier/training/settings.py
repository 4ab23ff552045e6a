"""What a training run needs to know besides the data."""

from dataclasses import dataclass

from brenier.inner.solution import AbstractInnerSolver
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.potential.activations import AbstractActivation
from brenier.potential.nonnegativity import AbstractNonnegativity


@dataclass(frozen=True)
class Hyperparameters:
    """What the held-out rows choose between.

    Attributes
    ----------
    decay : float
        Weight of half the squared slopes (`AbstractTrained.decayed`), nats.
    n_radial : int
        RadialUnits beside the network.
    """

    decay: float
    n_radial: int


@dataclass(frozen=True)
class Settings:
    """What a training run needs to know besides the data.

    Attributes
    ----------
    widths : tuple of int
        Hidden widths.
    activation, nonnegativity, solver, optimizer
        The parts.
    quadratic : bool
        Whether the head has quadratics; False is the thesis's form.
    forms : tuple of Hyperparameters
        Forms of the model. None at all: nothing but the Gaussian.
    noise : float or None
        Noise on the rows searched on (`brenier.training.noise`); None: chosen from the data.
    w_min : float
        Floor of the quadratic weights, relative to the Gaussian's own.
    criteria : StoppingCriteria
        Iterations, patience, time.
    n_init : int
        Initial weights tried for each potential.
    n_estimators : int
        Potentials that are summed, from different initial weights.
    seed : int
        Seed of the initial weights.
    shrinkage : float
        Of the Gaussian's covariance towards its diagonal.
    """

    widths: tuple[int, ...]
    activation: AbstractActivation
    nonnegativity: AbstractNonnegativity
    solver: AbstractInnerSolver
    optimizer: AbstractOptimizer
    quadratic: bool
    forms: tuple[Hyperparameters, ...]
    noise: float | None
    w_min: float
    criteria: StoppingCriteria
    n_init: int
    n_estimators: int
    seed: int
    shrinkage: float = 0.0
