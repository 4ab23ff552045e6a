"""A fitted density of all columns, as `brenier.marginal` asks it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.data.bounds import Bounds
from brenier.data.folding import Folding
from brenier.data.names import position_of, quoted
from brenier.data.rows import WeightedRows
from brenier.estimators.parameters import seed_of
from brenier.estimators.tables import column_names
from brenier.marginal.joint import Coordinates, Joint
from brenier.marginal.masses import LogMasses, log_masses
from brenier.marginal.proposals import NormalMixture
from brenier.marginal.slices import Free
from brenier.patterns import suggestion
from brenier.status import InputWarning
from brenier.training.gaussian_mixture import fit_gaussian_mixture
from brenier.training.settings import default_settings

# Draws that show where a density lies, and Gaussians of the mixture fitted to them.
N_DRAWS, N_GAUSSIANS = 4096, 12

LogDensity = Callable[[Float[np.ndarray, "N n"]], Float[np.ndarray, " N"]]


@dataclass(frozen=True)
class Asked:
    """A fitted density and the draws from it that show where it lies.

    Attributes
    ----------
    estimator
        Fitted.
    plain : callable
        Its log-density of plain rows: real numbers in the place of counts, any turn of angles.
    joint : Joint
        Its density, over the cells of counts, but for those that are integrated over.
    names : list of n str
        Its columns.
    """

    estimator: Any
    plain: LogDensity
    joint: Joint
    names: list[str]

    @staticmethod
    def of(estimator: Any, plain: LogDensity, bounds: Bounds) -> "Asked":
        """Return an estimator's density.

        Parameters
        ----------
        estimator
            Fitted, with a `sample`.
        plain : callable
            Its log-density of plain rows, or another one that lies where it does.
        bounds : Bounds
            Of its columns.
        """
        seed = seed_of(estimator.random_state)
        draws = np.asarray(estimator.sample(N_DRAWS, random_state=seed), dtype=np.float64)
        coordinates = Coordinates.about(draws, *bounds)
        silent = _silent(plain)
        folded = _of_whole(estimator.folding_, silent)
        joint = Joint(folded, coordinates, coordinates.inward(draws))
        return Asked(estimator, silent, joint, column_names(estimator))

    def over(self, columns: Int[np.ndarray, " m"]) -> "Asked":
        """Return the same density with the counts among some columns as real numbers.

        Over these one can integrate: its integral is the sum over all counts.
        """
        folding, coordinates = self.estimator.folding_, self.joint.coordinates
        counts = folding.cells.only(columns)
        if not len(counts.columns):
            return self
        others = folding.cells.only(np.setdiff1d(np.arange(self.n), columns))
        folded = _of_whole(Folding(folding.circles, others), self.plain)
        draws = counts.dithered(coordinates.outward(self.joint.draws), self.generator(3))
        own = Coordinates.about(draws, coordinates.low, coordinates.high)
        return replace(self, joint=Joint(folded, own, own.inward(draws)))

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.joint.n

    def generator(self, *more: int) -> np.random.Generator:
        """Return the random numbers of importance samples: the same in every call."""
        return np.random.default_rng([seed_of(self.estimator.random_state), *more])

    @cached_property
    def mixture(self) -> NormalMixture:
        """Gaussians fitted to the draws."""
        U = self.joint.draws
        mean, factor = np.mean(U, axis=0), np.linalg.cholesky(np.cov(U.T).reshape(self.n, self.n))
        whitened = np.linalg.solve(factor, (U - mean).T).T
        places = np.arange(len(U)) / len(U)
        rows = WeightedRows(whitened, np.ones(len(U)), places)
        seed = seed_of(self.estimator.random_state)
        fitted = fit_gaussian_mixture(rows, N_GAUSSIANS, [seed], default_settings())
        factors = factor @ fitted.gaussians.factors
        return NormalMixture(
            fitted.weights,
            fitted.gaussians.means @ factor.T + mean,
            factors @ factors.transpose(0, 2, 1),
        )

    def rest(self, places: Int[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
        """Return where the other columns stand."""
        return np.setdiff1d(np.arange(self.n), places)

    def log_densities(
        self, places: Int[np.ndarray, " m"], X: Float[np.ndarray, "N m"]
    ) -> LogMasses:
        """Return the log-densities of rows of some columns, in data units."""
        N, inside = len(X), self.inside(places, X)
        found = LogMasses(np.full(N, -np.inf), np.zeros(N), np.full(N, np.inf))
        if len(places) == self.n:
            # Nothing is integrated over, and no digit lost.
            found.values[inside] = self.joint.log_density(X[inside][:, np.argsort(places)])
            return found
        rest = self.rest(places)
        own = self.over(rest)
        U = own.whole_rows(places, X[inside])
        part = log_masses(Free(own.joint, rest, U), lambda: own.mixture, self.generator(2))
        slopes = own.joint.coordinates[places].log_slopes(U[:, places])
        found.values[inside] = part.values - slopes
        found.errors[inside], found.sizes[inside] = part.errors, part.sizes
        return found

    def inside(self, places: Int[np.ndarray, " m"], X: Float[np.ndarray, "N m"]) -> np.ndarray:
        """Return which rows of some columns are within all bounds, and whole where counted."""
        counts = X[:, self.estimator.folding_.cells.among(places).columns]
        return self.joint.coordinates[places].inside(X) & np.all(counts % 1 == 0, axis=1)

    def within_a_turn(
        self, places: Int[np.ndarray, " m"], X: Float[np.ndarray, "N m"]
    ) -> Float[np.ndarray, "N m"]:
        """Return rows of some columns, the periodic ones of them within their period."""
        return self.estimator.folding_.circles.among(places).fold(X)

    def whole_rows(
        self, places: Int[np.ndarray, " m"], X: Float[np.ndarray, "N m"]
    ) -> Float[np.ndarray, "N n"]:
        """Return coordinates of rows of which some columns are given, in data units."""
        U = np.zeros((len(X), self.n))
        U[:, places] = self.joint.coordinates[places].inward(X)
        return U


def _of_whole(folding: Folding, plain: LogDensity) -> LogDensity:
    """Return the density of rows whose counts have lost their last digit in coordinates."""
    return lambda X: folding.log_density(plain, folding.cells.fold(X))


def _silent(log_density: LogDensity) -> LogDensity:
    """Return a density that does not warn of far rows: integrals go far out."""

    def at(X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            return log_density(X)

    return at


def places_of(columns: Sequence[Any], names: list[str], what: str) -> Int[np.ndarray, " m"]:
    """Return where columns stand that are given by names or positions.

    Parameters
    ----------
    columns : sequence of str or int
        The columns.
    names : list of n str
        Those that there are.
    what : str
        What is expected of them, as in "values of".
    """
    found = [position_of(column, names) for column in columns]
    for column, place in zip(columns, found, strict=True):
        if place < 0:
            raise ValueError(
                f"Expected {what} columns of the table ({quoted(names)}); got {column!r}."
                f"{suggestion(column, names)}"
            )
    if len(set(found)) < len(found):
        raise ValueError(f"Expected {what} different columns; got {list(columns)!r}.")
    return np.array(found, dtype=int)
