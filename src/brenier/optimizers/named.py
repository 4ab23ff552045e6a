"""The optimizers by the names that estimators and the command line accept."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from brenier.optimizers.adam import Adam
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.gauss_newton import GaussNewton
from brenier.optimizers.gradient_descent import GradientDescent
from brenier.optimizers.lbfgs import LBFGS
from brenier.optimizers.mechanic import MechanicAdam
from brenier.optimizers.schedule_free import ScheduleFreeAdam
from brenier.optimizers.slimtrain import SlimTrain
from brenier.optimizers.warm_up import WarmedUp

# The thesis's settings (4.1) where it gives them; the learning rate with elimination and the
# length of the warm-up are ours.
FULL_BATCH, FULL_RATE = 64, 0.05
REDUCED_BATCH, REDUCED_RATE = 512, 0.02
WARM_UP_EPOCHS = 20
# slimTrain's authors' settings for their autoencoder; where Mechanic begins is ours ("Optimisers"
# in benchmarks/NOTES.md).
SLIMTRAIN_BATCH, SLIMTRAIN_RATE = 32, 1e-3
MECHANIC_RATE = 0.1


def _adam_varpro(seed: int, epochs: int | None = None) -> Adam:
    return Adam(
        eliminates=True,
        batch_rows=REDUCED_BATCH,
        learning_rate=REDUCED_RATE,
        seed=seed,
        epochs=epochs,
    )


OPTIMIZERS: Mapping[str, Callable[[float, int], AbstractOptimizer]] = MappingProxyType(
    {
        "lbfgs-varpro": lambda tol, seed: LBFGS(tol=tol),
        "adam-varpro": lambda tol, seed: _adam_varpro(seed),
        "adam-lbfgs-varpro": lambda tol, seed: WarmedUp(
            _adam_varpro(seed, WARM_UP_EPOCHS), LBFGS(tol=tol)
        ),
        "gd-varpro": lambda tol, seed: GradientDescent(tol=tol),
        "gauss-newton-varpro": lambda tol, seed: GaussNewton(tol=tol),
        "adam": lambda tol, seed: Adam(
            eliminates=False, batch_rows=FULL_BATCH, learning_rate=FULL_RATE, seed=seed
        ),
        "schedule-free-adam": lambda tol, seed: ScheduleFreeAdam(seed),
        "lbfgs-full": lambda tol, seed: LBFGS(eliminates=False, tol=tol),
        "gauss-newton-full": lambda tol, seed: GaussNewton(eliminates=False, tol=tol),
    }
)
"""name -> (tolerance, seed) -> optimizer."""

OF_LEAST_SQUARES: Mapping[str, Callable[[float, int], AbstractOptimizer]] = MappingProxyType(
    {
        "slimtrain": lambda tol, seed: SlimTrain(
            batch_rows=SLIMTRAIN_BATCH, learning_rate=SLIMTRAIN_RATE, seed=seed
        ),
        "slimtrain-mechanic": lambda tol, seed: SlimTrain(
            batch_rows=SLIMTRAIN_BATCH, learning_rate=MECHANIC_RATE, seed=seed, steps=MechanicAdam
        ),
    }
)
"""The same of those that are for least squares with free weights only: for no density."""
