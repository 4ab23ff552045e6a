"""What the reproduction of slimTrain is: problems, learning rates, memories, regularisation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.inner.sampled_tikhonov import SampledGCV
from brenier.optimizers.adam import Adam
from brenier.optimizers.epochs import AbstractByEpochs
from brenier.optimizers.mechanic import MechanicAdam
from brenier.optimizers.slimtrain import DEPTH, SlimTrain
from brenier.reproduce.abstract import AbstractSetting
from brenier.reproduce.gnvpro.methods import Start
from brenier.reproduce.slimtrain.problems import PROBLEMS, SEED, Problem
from brenier.version import __version__

ADAM, ADAM_OPTIMAL, SLIMTRAIN = "adam", "adam-optimal", "slimtrain"
ADAM_MECHANIC, SLIMTRAIN_MECHANIC = "adam-mechanic", "slimtrain-mechanic"
FAMILIES = {
    ADAM: "Adam on all weights, from a random W",
    ADAM_OPTIMAL: "Adam on all weights, from the optimal W of the first network",
    ADAM_MECHANIC: "Adam on all weights, from the same random W, its steps scaled by Mechanic",
    SLIMTRAIN: "slimTrain, from the same random W",
    SLIMTRAIN_MECHANIC: "slimTrain, from the same random W, Adam's steps scaled by Mechanic",
}
"""What is compared at all learning rates."""


@dataclass(frozen=True)
class Scheme:
    """What is compared, but for the learning rate.

    Attributes
    ----------
    label : str
        What it is called in tables, and in names of files.
    family : str
        One of `FAMILIES`.
    batch_rows : int
        Rows of a mini-batch.
    depth : int
        Batches that slimTrain remembers.
    change : float or None
        lambda of every batch; None: by sampled generalised cross-validation.
    """

    label: str
    family: str
    batch_rows: int
    depth: int = DEPTH
    change: float | None = None

    @property
    def start(self) -> Start:
        """Which last layer it begins with."""
        return Start.OPTIMAL if self.family == ADAM_OPTIMAL else Start.RANDOM

    def optimizer(
        self,
        rate: float,
        seed: int,
        epochs: int,
        told: Callable[[Float[np.ndarray, " k"]], None] | None = None,
    ) -> AbstractByEpochs:
        """Return what minimises at a learning rate; slimTrain tells its lambdas."""
        form = {"batch_rows": self.batch_rows, "learning_rate": rate, "seed": seed}
        steps = MechanicAdam if self.family in (ADAM_MECHANIC, SLIMTRAIN_MECHANIC) else Adam
        if self.family not in (SLIMTRAIN, SLIMTRAIN_MECHANIC):
            return steps(eliminates=False, epochs=epochs, **form)
        own = {"memory_depth": self.depth, "change": self.change, "steps": steps, "told": told}
        return SlimTrain(epochs=epochs, **form, **own)


@dataclass(frozen=True)
class SlimtrainSetting(AbstractSetting):
    """What is run.

    Attributes
    ----------
    problems : tuple of Problem
        What is learnt.
    seeds : tuple of int
        Of rows, initial weights and the order of mini-batches.
    epochs : int
        Passes through the training rows of every run.
    rates : tuple of float
        Learning rates of the claim.
    fewer_rates : tuple of float
        Those of the other comparisons.
    batch_rows, small_batch : int
        Rows of a mini-batch; and of the smaller ones that are looked at besides.
    depths : tuple of int
        Memories that are compared.
    changes : tuple of float
        Fixed lambdas that are compared with cross-validation.
    shown_rate : float
        Learning rate of the picture of the lambdas.
    ridge, decay : float
        Weights of half the squares of W (of Adam) and of the network's weights (of both).
    quick : bool
        Whether it is the short variant.
    """

    problems: tuple[Problem, ...] = tuple(PROBLEMS.values())
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    epochs: int = 50
    rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    fewer_rates: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    batch_rows: int = 32
    small_batch: int = 8
    depths: tuple[int, ...] = (0, 1, 5, 10)
    changes: tuple[float, ...] = (1e-6, 1e-4, 1e-2, 1.0)
    shown_rate: float = 1e-3
    ridge: float = 1e-6
    decay: float = 1e-6
    quick: bool = False

    @property
    def words(self) -> str:
        """Problems, and what is varied."""
        titles = ", ".join(problem.name for problem in self.problems)
        return (
            f"stochastic variable projection ({titles}): slimTrain and Adam over learning rates, "
            "memories, regularisation by itself"
        )

    @property
    def compared(self) -> tuple[Scheme, ...]:
        """Those of the claim."""
        return tuple(map(self.scheme, FAMILIES))

    def scheme(self, family: str) -> Scheme:
        """Return that of a family with mini-batches, memory and lambda as they usually are."""
        return Scheme(family, family, self.batch_rows)

    @property
    def small(self) -> tuple[Scheme, ...]:
        """Adam and slimTrain, without and with Mechanic, with the smaller mini-batches."""
        rows, families = self.small_batch, (ADAM, SLIMTRAIN, SLIMTRAIN_MECHANIC)
        return tuple(Scheme(f"{family}-batch{rows}", family, rows) for family in families)

    @property
    def remembering(self) -> tuple[Scheme, ...]:
        """SlimTrain with every memory."""
        return tuple(self._slimtrain(depth=depth) for depth in self.depths)

    @property
    def regularised(self) -> tuple[Scheme, ...]:
        """SlimTrain with cross-validation, then with every fixed lambda."""
        return tuple(self._slimtrain(change=change) for change in (None, *self.changes))

    def _slimtrain(self, depth: int = DEPTH, change: float | None = None) -> Scheme:
        """Return slimTrain with a memory and a lambda; what the claim is of has its label."""
        label = SLIMTRAIN
        label += f"-r{depth}" * (depth != DEPTH)
        label += "" if change is None else f"-lambda{change:g}"
        return Scheme(label, SLIMTRAIN, self.batch_rows, depth, change)

    @property
    def plan(self) -> tuple[tuple[Scheme, float], ...]:
        """Every scheme at every learning rate, once."""
        others = (*self.small, *self.remembering, *self.regularised)
        wanted = [(scheme, rate) for scheme in self.compared for rate in self.rates]
        wanted += [(scheme, rate) for scheme in others for rate in self.fewer_rates]
        return tuple(dict.fromkeys(wanted))

    def shows(self, scheme: Scheme, rate: float, seed: int) -> bool:
        """Whether a run's lambdas are in the picture."""
        return (scheme.label, rate, seed) == (SLIMTRAIN, self.shown_rate, self.seeds[0])

    def decides(self, problem: Problem, scheme: Scheme, rate: float, seed: int) -> dict[str, Any]:
        """Return all that decides the numbers of a run."""
        return {
            "problem": problem.name,
            "draw": problem.draw.__name__,
            "widths": problem.widths,
            "residual": problem.residual,
            "rows": problem.sizes,
            "rows seed": SEED,
            "optimizer": repr(scheme.optimizer(rate, seed, self.epochs)),
            "start": scheme.start.value,
            "cross-validation": repr(SampledGCV()),
            "ridge": self.ridge,
            "decay": self.decay,
            "brenier": __version__,
        }

    def with_seeds(self, n: int) -> "SlimtrainSetting":
        """Return the experiment with so many seeds."""
        return replace(self, seeds=tuple(range(n)))

    def shortened(self) -> "SlimtrainSetting":
        """Return the quick variant: one problem, one seed, few epochs, rates and memories."""
        return replace(
            self,
            problems=self.problems[:1],
            seeds=self.seeds[:1],
            epochs=10,
            rates=self.fewer_rates,
            depths=(0, DEPTH),
            changes=self.changes[1:2],
            quick=True,
        )
