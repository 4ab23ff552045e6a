"""The data sets of the accuracy suites."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import data, small
from brenier.data.datasets import (
    AbstractDistribution,
    CorrelatedGaussian,
    EightGaussians,
    MAFMoon,
    Moons,
    Rings,
)


@dataclass(frozen=True)
class DataSet:
    """Rows by seed, the distribution they are from where it is known, and whether they are here."""

    rows: Callable[[int], data.Split]
    truth: AbstractDistribution | None = None
    present: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Suite:
    """Data sets that are measured together, with so many seeds unless told otherwise.

    `compared` names the field of a fit's record in which the suite is shown first; `peers` are
    those that are fitted unless others are asked for, all if there are none. Without `costs`
    neither seconds nor memory are shown, but differences between peers split by split.
    """

    name: str
    title: str
    description: str
    datasets: dict[str, DataSet]
    seeds: int
    compared: str
    peers: tuple[str, ...] = ()
    costs: bool = True


def _moons(n_train: int) -> DataSet:
    return DataSet(lambda seed: data.moons(n_train, seed), Moons())


def _posterior(name: str, N: int) -> DataSet:
    return DataSet(partial(small.posterior, name, N), present=data.has_posteriors)


def _toy(truth: AbstractDistribution) -> DataSet:
    return DataSet(lambda seed: data.drawn(truth, (2000, 1000, 5000), seed), truth)


MOONS = Suite(
    "moons",
    "Two moons",
    "Two half circles with noise 0.05; 1024 or 4096 rows to train on, 5000 to choose by, 5000 to "
    "test. J is the test NLL less (n/2) log 2 pi; the gap is the mean of log p_true - log p on the "
    "test rows.",
    {f"moons-{n_train}": _moons(n_train) for n_train in (1024, 4096)},
    5,
    "gap",
)
TOYS = Suite(
    "toys",
    "Toy distributions",
    "2000 rows to train on, 1000 to choose by, 5000 to test. The gap is the mean of "
    "log p_true - log p on the test rows.",
    {
        "eight-gaussians": _toy(EightGaussians()),
        "rings": _toy(Rings()),
        "maf-moon": _toy(MAFMoon()),
        "gaussian-16d": _toy(CorrelatedGaussian(16)),
    },
    3,
    "gap",
)
REAL = Suite(
    "posteriors",
    "Posterior draws",
    "Draws of [posteriordb](https://github.com/stan-dev/posteriordb) in coordinates whitened by "
    "the training rows; 2000 rows to train on, 1000 to choose by, 5000 to test; the seed is that "
    "of the split.",
    {
        name: DataSet(partial(data.posterior, name), present=data.has_posteriors)
        for name in data.POSTERIOR_NAMES
    },
    3,
    "nll",
)
SMALL = Suite(
    "small",
    "Small real tables",
    "Few rows, in data units, and none to choose by: `brenier` splits off its own, the mixture's "
    "components are chosen by BIC, the bandwidth of the kernel density by five-fold "
    "cross-validation, and other peers hold out a fifth. Tables of scikit-learn by random splits "
    "of 80 to 20, with uniform noise as wide as the step of each column's values, which are "
    "rounded; random draws of the posteriors, so many as the name says, all others test. Standard "
    "errors are over splits; those of one of scikit-learn's tables share rows, so that theirs are "
    "a little too small.",
    {
        **{name: DataSet(partial(small.table, name)) for name in small.TABLES},
        **{
            f"{name}-{N}": _posterior(name, N) for name in data.POSTERIOR_NAMES for N in small.SIZES
        },
    },
    5,
    "nll",
    ("brenier", "gaussian", "mixture", "kde", "zuko-nsf", "zuko-maf"),
    costs=False,
)
SUITES = {suite.name: suite for suite in (MOONS, TOYS, REAL, SMALL)}
