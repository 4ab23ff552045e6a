"""A fitted density of all columns, as `brenier.marginal` asks it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.data.bounds import Bounds
from brenier.data.names import position_of, quoted
from brenier.data.rows import WeightedRows
from brenier.estimators.parameters import seed_of
from brenier.estimators.tables import column_names
from brenier.marginal.joint import Coordinates, Joint
from brenier.marginal.proposals import NormalMixture
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
    joint : Joint
        Its density.
    names : list of n str
        Its columns.
    """

    estimator: Any
    joint: Joint
    names: list[str]

    @staticmethod
    def of(estimator: Any, log_density: LogDensity, bounds: Bounds) -> "Asked":
        """Return an estimator's density.

        Parameters
        ----------
        estimator
            Fitted, with a `sample`.
        log_density : callable
            Its density of checked rows, or another one that lies where it does.
        bounds : Bounds
            Of its columns.
        """
        seed = seed_of(estimator.random_state)
        draws = np.asarray(estimator.sample(N_DRAWS, random_state=seed), dtype=np.float64)
        coordinates = Coordinates.about(draws, *bounds)
        joint = Joint(_silent(log_density), coordinates, coordinates.inward(draws))
        return Asked(estimator, joint, column_names(estimator))

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
        """Return where the other columns stand, over which one can integrate.

        Raises
        ------
        ValueError
            If there are discrete ones among them.
        """
        rest = np.setdiff1d(np.arange(self.n), places)
        discrete = np.intersect1d(rest, self.estimator.folding_.cells.columns).tolist()
        if discrete:
            raise ValueError(
                "Expected the values of all discrete columns, over which nothing is integrated; "
                f"got none of {quoted([self.names[j] for j in discrete])}. Give them, or keep them."
            )
        return rest

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
