"""Methods that are compared: what is eliminated, what minimises, from which last layer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from brenier.optimizers.adam import Adam
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.epochs import AbstractByEpochs
from brenier.optimizers.gauss_newton import GaussNewton
from brenier.optimizers.lbfgs import LBFGS
from brenier.optimizers.sgd import SGD

GNVPRO, LBFGS_VARPRO = "gnvpro", "lbfgs-varpro"
GAUSS_NEWTON, GAUSS_NEWTON_RANDOM = "gauss-newton", "gauss-newton-random"
GNVPRO_PLAIN, GAUSS_NEWTON_PLAIN = "gnvpro-plain", "gauss-newton-plain"
LBFGS_FULL, LBFGS_RANDOM = "lbfgs", "lbfgs-random"
ADAM, DESCENT = "adam", "sgd"
FAMILIES: Mapping[str, type[AbstractByEpochs]] = MappingProxyType({ADAM: Adam, DESCENT: SGD})
# The paper's own step: so many products, and no memory of those before.
PLAIN = {"max_products": 20, "memory": 0}
# No run shall end before its work units do, but where nothing is left to gain.
TOL = 1e-9


class Start(Enum):
    """Which last layer a method begins with."""

    OPTIMAL = "the optimal W of the first network"
    RANDOM = "a random W"


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes
    ----------
    label : str
        What it is called in tables, and in names of files.
    words : str
        What it is.
    optimizer : callable
        From a seed to what minimises.
    start : Start
        Which last layer it begins with.
    family : str
        The grid it belongs to, if any.
    learning_rate, batch_rows : float, int
        Of a method of a grid.
    """

    label: str
    words: str
    optimizer: Callable[[int], AbstractOptimizer]
    start: Start = Start.OPTIMAL
    family: str = ""
    learning_rate: float = math.nan
    batch_rows: int = 0

    @property
    def eliminates(self) -> bool:
        """Whether W is eliminated."""
        return self.optimizer(0).eliminates


def _gauss_newton(*, eliminates: bool, **step: int) -> Callable[[int], AbstractOptimizer]:
    made = GaussNewton(eliminates=eliminates, tol=TOL, **step)
    return lambda seed: made


def _lbfgs(*, eliminates: bool) -> Callable[[int], AbstractOptimizer]:
    made = LBFGS(eliminates=eliminates, tol=TOL)
    return lambda seed: made


OF_BOTH = (
    Method(
        GNVPRO,
        "Gauss-Newton-Krylov with a memory of curvature, W eliminated",
        _gauss_newton(eliminates=True),
    ),
    Method(LBFGS_VARPRO, "L-BFGS, W eliminated", _lbfgs(eliminates=True)),
    Method(
        GAUSS_NEWTON,
        "Gauss-Newton-Krylov with a memory of curvature on all weights, from the optimal W of the "
        "first network",
        _gauss_newton(eliminates=False),
    ),
    Method(
        GAUSS_NEWTON_RANDOM,
        "the same from a random W",
        _gauss_newton(eliminates=False),
        Start.RANDOM,
    ),
    Method(
        GNVPRO_PLAIN,
        "Gauss-Newton-Krylov with the paper's own step, without memory, W eliminated",
        _gauss_newton(eliminates=True, **PLAIN),
    ),
    Method(
        GAUSS_NEWTON_PLAIN,
        "the same step on all weights, from the optimal W of the first network",
        _gauss_newton(eliminates=False, **PLAIN),
    ),
    Method(
        LBFGS_FULL,
        "L-BFGS on all weights, from the optimal W of the first network",
        _lbfgs(eliminates=False),
    ),
    Method(LBFGS_RANDOM, "the same from a random W", _lbfgs(eliminates=False), Start.RANDOM),
)
"""Without a grid: there is nothing to tune."""


def gridded(
    family: str, rates: Sequence[float], batches: Sequence[int], reported_every: int
) -> list[Method]:
    """Return the methods of a grid of learning rates and mini-batches."""
    kind = FAMILIES[family]

    def optimizer(rate: float, batch: int) -> Callable[[int], AbstractOptimizer]:
        return lambda seed: kind(
            eliminates=False,
            batch_rows=batch,
            learning_rate=rate,
            seed=seed,
            reported_every=reported_every,
        )

    return [
        Method(
            f"{family}-{rate:g}-{batch}",
            f"learning rate {rate:g}, mini-batches of {batch}",
            optimizer(rate, batch),
            family=family,
            learning_rate=rate,
            batch_rows=batch,
        )
        for rate in rates
        for batch in batches
    ]
