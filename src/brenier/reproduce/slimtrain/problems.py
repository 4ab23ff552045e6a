"""What is learnt: regressions that need no download, each drawn anew from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from brenier.reproduce.gnvpro.convection import observations
from brenier.reproduce.gnvpro.problems import Draw, Part
from brenier.reproduce.gnvpro.surface import peaks_regression

PARTS = ("train", "validation", "test")
# With the seed of a run and the name of a problem: no other rows are drawn from it.
SEED = 21_09_14002


@dataclass(frozen=True)
class Problem:
    """A regression.

    Attributes
    ----------
    name : str
        What it is called in tables, and in names of files.
    title : str
        What it is, in words.
    draw : callable
        Given how many rows and a generator: returns inputs and targets.
    widths : tuple of int
        Of the layers of the tanh network.
    sizes : tuple of int
        Training, validation and test rows.
    residual : bool
        Whether the layers after the first are residual.
    """

    name: str
    title: str
    draw: Draw
    widths: tuple[int, ...]
    sizes: tuple[int, int, int]
    residual: bool = True

    def rows(self, seed: int) -> dict[str, Part]:
        """Return the rows of a seed by part."""
        rng = np.random.default_rng([SEED, seed, *self.name.encode()])
        n_train, ends = self.sizes[0], np.cumsum(self.sizes)[:-1]
        X, Y = (_scaled(table, n_train) for table in self.draw(sum(self.sizes), rng))
        cut = zip(np.split(X, ends), np.split(Y, ends), strict=True)
        return {name: Part(*both) for name, both in zip(PARTS, cut, strict=True)}


def _scaled(table: Float[np.ndarray, "N k"], n_train: int) -> Float[np.ndarray, "N k"]:
    train = table[:n_train]
    return (table - train.mean(axis=0)) / np.sqrt(np.mean(train.var(axis=0)))


def digits(N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return images twice: a network with a narrow layer is to give back what it was given."""
    from sklearn.datasets import load_digits

    images = load_digits().data  # pyright: ignore[reportAttributeAccessIssue]
    images = np.asarray(images, dtype=float)[rng.permutation(len(images))[:N]]
    return images, images


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        problem.name: problem
        for problem in (
            Problem("peaks", "Peaks", peaks_regression, (8,) * 8, (2000, 500, 1000)),
            Problem(
                "convection",
                "Convection and diffusion, surrogate",
                observations,
                (16,) * 4,
                (400, 200, 200),
            ),
            Problem(
                "digits",
                "8 x 8 digits, autoencoder",
                digits,
                (32, 16, 32),
                (1000, 397, 400),
                residual=False,
            ),
        )
    }
)
"""By name; the networks of the first two have the widths of the authors' (8 and 16)."""
