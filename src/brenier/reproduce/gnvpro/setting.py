"""What the reproduction of GNvpro is: problems, methods, regularisation, how much work."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from brenier.reproduce.abstract import AbstractSetting
from brenier.reproduce.gnvpro.methods import ADAM, DESCENT, OF_BOTH, Method, gridded
from brenier.reproduce.gnvpro.problems import ENTROPY, PROBLEMS, SEED, SQUARED, Problem
from brenier.version import __version__

# The problems that the paper's claims are tested on.
CLAIMED = ("peaks", "peaks-classes", "convection")
# That of Figure 2.1's picture.
SHOWN = "spirals"


@dataclass(frozen=True)
class Regularisation:
    """The same for all methods on problems of one loss.

    Attributes
    ----------
    ridge : float
        Weight of half the squares of W.
    decay : float
        Weight of half the squares of the network's weights.
    """

    ridge: float
    decay: float


REGULARISATION: Mapping[str, Regularisation] = MappingProxyType(
    {SQUARED: Regularisation(1e-6, 1e-6), ENTROPY: Regularisation(1e-4, 1e-6)}
)


@dataclass(frozen=True)
class GnvproSetting(AbstractSetting):
    """What is run.

    Attributes
    ----------
    problems : tuple of Problem
        What is learnt.
    seeds : tuple of int
        Of rows, initial weights and the order of mini-batches.
    passes : int
        Work units of one run over the number of training rows.
    share : float
        Of the work units: where GNvpro is compared with Adam.
    folds : int
        Of the training rows, by which the grid of Adam is chosen on the problems claimed.
    fold_seeds : int
        Seeds whose training rows choose, for all of them.
    long_passes : int
        Work units of the longer runs over the number of training rows.
    long_of_grid : int
        Most members of the grid of Adam in the longer runs: those lowest after the shorter ones,
        beside the one that cross-validation chose.
    regularisation : mapping
        By loss.
    adam_rates, sgd_rates : tuple of float
        Learning rates of the grids.
    batches : tuple of int
        Rows of a mini-batch, of both grids.
    reported_every : int
        Epochs after which the loss of Adam and SGD is looked at.
    quick : bool
        Whether it is the short variant.
    """

    problems: tuple[Problem, ...] = tuple(PROBLEMS.values())
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    passes: int = 500
    share: float = 0.2
    folds: int = 5
    fold_seeds: int = 1
    long_passes: int = 2500
    long_of_grid: int = 12
    regularisation: Mapping[str, Regularisation] = field(default_factory=lambda: REGULARISATION)
    adam_rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    sgd_rates: tuple[float, ...] = (3e-3, 1e-2, 3e-2, 1e-1)
    batches: tuple[int, ...] = (8, 32, 128)
    reported_every: int = 5
    quick: bool = False

    @property
    def words(self) -> str:
        """Problems and methods."""
        titles = ", ".join(problem.name for problem in self.problems)
        return (
            f"variable projection for regression and classification ({titles}): Gauss-Newton and "
            "L-BFGS with and without elimination, Adam and SGD of a grid"
        )

    @property
    def methods(self) -> tuple[Method, ...]:
        """All methods, those of the grids last."""
        every = self.reported_every
        return (
            *OF_BOTH,
            *gridded(ADAM, self.adam_rates, self.batches, every),
            *gridded(DESCENT, self.sgd_rates, self.batches, every),
        )

    def of_family(self, family: str) -> list[Method]:
        """Return the methods of a grid."""
        return [method for method in self.methods if method.family == family]

    @property
    def claimed(self) -> tuple[Problem, ...]:
        """The problems that the paper's claims are tested on, those that are run."""
        return tuple(problem for problem in self.problems if problem.name in CLAIMED)

    @property
    def longer(self) -> "GnvproSetting":
        """The problems claimed, with the work of the longer runs."""
        return replace(self, problems=self.claimed, passes=self.long_passes)

    def problem(self, name: str) -> Problem | None:
        """Return the problem of this name, None if it is not run."""
        return next((one for one in self.problems if one.name == name), None)

    def budget(self, problem: Problem) -> int:
        """Return the work units of one run: forward and backward passes of single rows."""
        return self.passes * problem.n_train

    def decides(self, problem: Problem, method: Method, seed: int) -> dict[str, Any]:
        """Return all that decides the numbers of a run."""
        return {
            "problem": problem.name,
            "loss": problem.loss,
            "widths": problem.widths,
            "rows": problem.sizes,
            "rows seed": SEED,
            "passes": self.passes,
            "regularisation": self.regularisation[problem.loss],
            "method": repr(method.optimizer(seed)),
            "start": method.start.value,
            "brenier": __version__,
        }

    def with_seeds(self, n: int) -> "GnvproSetting":
        """Return the experiment with so many seeds."""
        return replace(self, seeds=tuple(range(n)))

    def shortened(self) -> "GnvproSetting":
        """Return the quick variant: two problems, one seed, little work, grids of two."""
        names = (CLAIMED[0], SHOWN)
        return replace(
            self,
            problems=tuple(problem for problem in self.problems if problem.name in names),
            seeds=self.seeds[:1],
            passes=40,
            folds=2,
            long_passes=80,
            long_of_grid=1,
            adam_rates=self.adam_rates[2:],
            sgd_rates=self.sgd_rates[2:],
            batches=self.batches[1:2],
            quick=True,
        )
