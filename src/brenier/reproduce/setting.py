r"""What a reproduction is: data of known density, how many rows, which optimizers, what budget.

All losses are the thesis's J in the data's own coordinates (2.3),

    J = -(mean log-density) - (n/2) log 2 pi    (nats),

whose floor is entropy - (n/2) log 2 pi: no density has a smaller expected J.

References
----------
.. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, section 4.1 and Table 4.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from brenier.data.datasets import AbstractDistribution, EightGaussians, Moons
from brenier.estimators import ConvexPotentialFlow
from brenier.reproduce.abstract import AbstractSetting
from brenier.training.algorithm import Algorithm

DEFAULT = "default"
# Patience that no run outlasts: every optimizer may spend the whole budget.
NO_PATIENCE = 10**9
THESIS_OPTIMIZERS = (
    "adam",
    "adam-varpro",
    "lbfgs-varpro",
    "adam-lbfgs-varpro",
    "gd-varpro",
    "gauss-newton-varpro",
    "lbfgs-full",
    "gauss-newton-full",
)
BASELINE, THESIS_BEST = "adam", "adam-lbfgs-varpro"


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and its standard deviation."""

    mean: float
    sd: float

    def __str__(self) -> str:
        if np.isnan(self.sd):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} \N{PLUS-MINUS SIGN} {self.sd:.3f}"


@dataclass(frozen=True)
class Rows:
    """Rows to train on, to choose the iterate by, and to test on."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Setting(AbstractSetting):
    """One reproduction: what is run, and how much of it.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    distribution : AbstractDistribution
        Where rows come from.
    n_train, n_validation, n_test : int
        Numbers of rows, by default 1024, 5000 and 5000.
    budget : int, default=1_500_000
        Most work units of one run of an optimizer (passes of single samples, thesis 4.1).
    seeds : tuple of int, default=(0, 1, 2, 3, 4)
        Of rows and initial weights.
    targets : tuple of float
        Validation losses J (nats) whose cost is measured, the easier first; by default the two
        that the thesis reaches on the moons.
    published : mapping of str to Spread
        The thesis's own J by optimizer; empty where it has none.
    optimizers : tuple of str
        What is run with the thesis's network, by default all eight optimizers.
    thesis_form, default_form : mapping
        Settings that differ from `ConvexPotentialFlow.thesis()` and `ConvexPotentialFlow()`.
    n_iterates : int, default=30
        Iterates of L-BFGS at which the inner solvers are compared.
    n_timings : int, default=3
        How often each of these inner solves is timed; the least time counts.
    n_grid : int, default=300
        Points of each axis of the grid over the data on which a density is integrated.
    n_normal : int, default=5000
        Normal points whose preimages are sought, for the mass of a density.
    quick : bool, default=False
        Whether it is the short variant, whose numbers only show that everything works.
    """

    name: str
    distribution: AbstractDistribution
    n_train: int = 1024
    n_validation: int = 5000
    n_test: int = 5000
    budget: int = 1_500_000
    seeds: tuple[int, ...] = tuple(range(5))
    targets: tuple[float, ...] = (-1.13, -1.32)
    published: Mapping[str, Spread] = field(default_factory=lambda: MappingProxyType({}))
    optimizers: tuple[str, ...] = THESIS_OPTIMIZERS
    thesis_form: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    default_form: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    n_iterates: int = 30
    n_timings: int = 3
    n_grid: int = 300
    n_normal: int = 5000
    quick: bool = False

    @property
    def words(self) -> str:
        """Data, rows, floor, optimizers."""
        thesis = "with the thesis's own numbers" if self.published else "not in the thesis"
        return (
            f"{self.distribution!r}, {self.n_train} rows, {thesis}; floor J {self.floor:.3f}; "
            f"optimizers: {', '.join(self.labels)}"
        )

    @property
    def floor(self) -> float:
        """The least expected J of any density (nats)."""
        return self.distribution.best_loss()

    @property
    def labels(self) -> tuple[str, ...]:
        """Every row of the tables: the thesis's optimizers, then ours."""
        return (*self.optimizers, DEFAULT)

    def rows(self, seed: int) -> Rows:
        """Return the rows of a seed, the same for every optimizer."""
        sizes = (self.n_train, self.n_validation, self.n_test)
        return Rows(
            *(self.distribution.sample(N, random_state=3 * seed + i) for i, N in enumerate(sizes))
        )

    def estimator(self, label: str, seed: int) -> ConvexPotentialFlow:
        """Return the unfitted estimator of a run.

        The thesis's optimizers spend the whole budget, unless they converge before: no patience,
        and as many iterations as there are work units. The default is left as users get it, but
        for its judge rows: the test rows judge here.
        """
        if label == DEFAULT:
            return ConvexPotentialFlow(judge_fraction=0.0, random_state=seed, **self.default_form)
        return ConvexPotentialFlow.thesis(
            algorithm=Algorithm.thesis(optimizer=label, max_work_units=self.budget),
            random_state=seed,
            max_iter=self.budget,
            n_iter_no_change=NO_PATIENCE,
            **self.thesis_form,
        )

    def with_seeds(self, n: int) -> "Setting":
        """Return the reproduction with so many seeds."""
        return replace(self, seeds=tuple(range(n)))

    def shortened(self) -> "Setting":
        """Return the quick variant: one seed, a twenty-fifth of the budget, fewer test rows."""
        return replace(
            self,
            n_validation=2000,
            n_test=2000,
            budget=60_000,
            seeds=(0,),
            default_form={**self.default_form, "max_iter": 100},
            n_iterates=10,
            quick=True,
        )


def reproductions() -> dict[str, Setting]:
    """Return the reproductions by name."""
    moons = Setting(
        name="moons",
        distribution=Moons(noise=0.05),
        published=MappingProxyType(
            {
                "adam": Spread(-1.13, 0.03),
                "adam-varpro": Spread(-0.96, 0.13),
                "adam-lbfgs-varpro": Spread(-1.32, 0.05),
            }
        ),
    )
    eight = EightGaussians()
    # As far above the floor as the thesis's losses are on moons.
    distances = (target - moons.floor for target in moons.targets)
    targets = tuple(round(eight.best_loss() + distance, 2) for distance in distances)
    return {
        "moons": moons,
        "eight-gaussians": Setting(name="eight-gaussians", distribution=eight, targets=targets),
    }
