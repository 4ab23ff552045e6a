"""What is learnt: problems that need no download, each drawn anew from a seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from brenier.reproduce.gnvpro.convection import observations
from brenier.reproduce.gnvpro.surface import (
    moons,
    one_hot,
    peaks_classes,
    peaks_regression,
    spirals,
)

PARTS = ("train", "validation", "test")
SQUARED, ENTROPY = "squared error", "cross-entropy"
# With the seed of a run and the name of a problem: no other rows are drawn from it.
SEED = 20261129

Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Part:
    """Rows with what is to be found from them.

    Attributes
    ----------
    X, Y : (N, n), (N, o)
        Inputs and targets, of one scale by the training rows; of classes, 0 and 1.
    """

    X: Float[np.ndarray, "N n"]
    Y: Float[np.ndarray, "N o"]


@dataclass(frozen=True)
class Problem:
    """A regression or a classification.

    Attributes
    ----------
    name : str
        What it is called in tables, and in names of files.
    title : str
        What it is, in words.
    loss : str
        "squared error" or "cross-entropy".
    draw : callable
        Given how many rows and a generator: returns inputs and targets.
    widths : tuple of int
        Of the layers of the tanh network, all after the first residual.
    n_train, n_validation, n_test : int
        Rows.
    """

    name: str
    title: str
    loss: str
    draw: Draw
    widths: tuple[int, ...]
    n_train: int
    n_validation: int
    n_test: int

    @property
    def classifies(self) -> bool:
        """Whether targets are classes."""
        return self.loss == ENTROPY

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows by part."""
        return self.n_train, self.n_validation, self.n_test

    def without_fold(self, fold: int, n_folds: int) -> "Problem":
        """Return the problem on its training rows alone, one fold of them left out."""
        n = len(range(fold, self.n_train, n_folds))
        return replace(self, n_train=self.n_train - n, n_validation=n, n_test=n)

    def rows(self, seed: int) -> dict[str, Part]:
        """Return the rows of a seed by part."""
        name = np.frombuffer(self.name.encode(), dtype=np.uint8)
        rng = np.random.default_rng([SEED, seed, *name.tolist()])
        X, Y = self.draw(sum(self.sizes), rng)
        order, ends = _dealt(Y if self.classifies else None, self.sizes, rng), np.cumsum(self.sizes)
        parts = np.split(order, ends[:-1])
        train = parts[0]
        X = _standardised(X, train)
        Y = Y if self.classifies else _standardised(Y, train)
        return {name: Part(X[rows], Y[rows]) for name, rows in zip(PARTS, parts, strict=True)}


def parts_without_fold(train: Part, fold: int, n_folds: int) -> dict[str, Part]:
    """Return training rows as parts: one fold is what is validated, and tested, on.

    Rows are in random order, so that every `n_folds`-th is a fold.
    """
    own = np.arange(len(train.X)) % n_folds == fold
    left_out = Part(train.X[own], train.Y[own])
    rest = Part(train.X[~own], train.Y[~own])
    return dict(zip(PARTS, (rest, left_out, left_out), strict=True))


def _dealt(
    classes: Float[np.ndarray, "N o"] | None, sizes: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Return an order of rows, random, with each part's share of every class."""
    N = sum(sizes)
    if classes is None:
        return rng.permutation(N)
    # Rows of a class are spread evenly over (0, 1), and parts are cut from there.
    place = np.empty(N)
    for k in range(classes.shape[1]):
        own = np.flatnonzero(classes[:, k])
        place[rng.permutation(own)] = (np.arange(len(own)) + rng.random()) / len(own)
    dealt = np.argsort(place)
    ends = np.cumsum(sizes)[:-1]
    return np.concatenate([rng.permutation(part) for part in np.split(dealt, ends)])


def _standardised(values: Float[np.ndarray, "N k"], train: np.ndarray) -> Float[np.ndarray, "N k"]:
    """Return columns with mean zero and variance one over the training rows."""
    mean, sd = values[train].mean(axis=0), values[train].std(axis=0)
    # Pixels at the edge of images are the same in all of them.
    return (values - mean) / np.where(sd > 0, sd, 1.0)


def _digits(N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    rows = rng.permutation(len(data.data))[:N]  # pyright: ignore[reportAttributeAccessIssue]
    X, labels = data.data[rows], data.target[rows]  # pyright: ignore[reportAttributeAccessIssue]
    return np.asarray(X, dtype=float), one_hot(np.asarray(labels), 10)


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        problem.name: problem
        for problem in (
            Problem(
                "peaks",
                "Peaks, regression",
                SQUARED,
                peaks_regression,
                (8, 8, 8, 8),
                1000,
                500,
                1000,
            ),
            Problem(
                "peaks-classes",
                "Peaks, five classes",
                ENTROPY,
                peaks_classes,
                (8, 8, 8, 8),
                1000,
                500,
                1000,
            ),
            Problem(
                "convection",
                "Convection and diffusion, surrogate",
                SQUARED,
                observations,
                (8, 8, 8),
                400,
                200,
                200,
            ),
            Problem("moons", "Interleaved moons", ENTROPY, moons, (4, 4), 400, 400, 1000),
            Problem("spirals", "Interleaved spirals", ENTROPY, spirals, (8, 8, 8), 400, 400, 1000),
            Problem("digits", "8 x 8 digits", ENTROPY, _digits, (16, 16), 500, 500, 797),
        )
    }
)
"""By name; the paper's claims are tested on the first three."""
