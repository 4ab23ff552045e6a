"""The data sets of the accuracy suites."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import data, pieces, small, thin
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
    """Rows by seed, the distribution they are from where it is known, and whether they are here.

    `outside` says of draws which lie where a distribution in pieces has nothing.
    """

    rows: Callable[[int], data.Split]
    truth: AbstractDistribution | None = None
    present: Callable[[], bool] = lambda: True
    outside: Callable[[np.ndarray], np.ndarray] | None = None


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


def _pieces(truth: pieces.Pieces, N: int) -> DataSet:
    sizes = (N, N // 2, 5000)
    return DataSet(lambda seed: data.drawn(truth, sizes, seed), truth, outside=truth.outside)


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
PIECES = Suite(
    "pieces",
    "Pieces far apart",
    "Three unit Gaussians 50 apart in two columns, four whose centres were drawn in [0, 40]^8, and "
    "three bananas, unit Gaussians bent by 0.7, in three columns: 1000, 2000 and 1500 rows to "
    "train on, half as many to choose by, 5000 to test. The gap is the mean of log p_true - log p "
    "on the test rows; of 5000 rows drawn, those outside are more than 6 standard deviations from "
    "the centre of every piece, bananas straightened.",
    {
        "far-modes": _pieces(pieces.far_modes(), 1000),
        "modes-in-a-cube": _pieces(pieces.modes_in_a_cube(), 2000),
        "bananas": _pieces(pieces.bananas(), 1500),
    },
    3,
    "gap",
    costs=False,
)
THIN = Suite(
    "thin",
    "Thin shapes",
    "Synthetic rows close to something of fewer dimensions: five lags of a chaotic series with "
    "little noise, and yields of 16 maturities with three slow factors. 500 rows to train on, 250 "
    "to choose by, all others to test; columns standardised by the training rows. Standard errors "
    "are over ten seeds, each with a series of its own.",
    {name: DataSet(partial(thin.rows, name), present=thin.present) for name in thin.FIRST_SEED},
    10,
    "nll",
    (
        "brenier",
        "brenier-mixture",
        "brenier-auto",
        "gaussian",
        "mixture",
        "kde",
        "zuko-nsf",
        "zuko-maf",
    ),
    costs=False,
)
SUITES = {suite.name: suite for suite in (MOONS, TOYS, REAL, PIECES, THIN, SMALL)}
