"""A fitted density of all columns, without some of them; rows with missing cells."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.data.bounds import Bounds
from brenier.data.names import position_of, quoted
from brenier.estimators.asking import Asked, LogDensity, places_of
from brenier.estimators.conditioned import checked_levels, shaped_as
from brenier.estimators.normal import check_n_samples
from brenier.estimators.tables import as_asked, checked_rows, rows_of_columns
from brenier.marginal.cloud import LEAST_OF_ROW
from brenier.marginal.joint import Joint
from brenier.marginal.masses import LogMasses
from brenier.marginal.slices import mean_of, quantiles_of
from brenier.status import InputWarning

# Draws that means and quantiles are of where quadrature is not.
N_DRAWS = 1 << 15
REMEDY = (
    "Drop these rows or fill them in; or score what is known of them, NaN integrated out, with "
    "integrate_missing=True (brenier score --integrate-missing)."
)


@dataclass(frozen=True)
class MarginalDensity:
    """The density of some columns, the others integrated out.

    Attributes
    ----------
    columns : list of str
        Its columns, as asked for.
    """

    columns: list[str]
    _asked: Asked = field(repr=False)
    _places: Int[np.ndarray, " m"] = field(repr=False)

    def log_density(self, X, *, return_error=False) -> Any:
        """Return the log-density of rows (nats).

        Over one other column, and of a few rows over two, it is integrated by quadrature;
        otherwise by importance sampling, with a standard error of some hundredths of a nat.

        Parameters
        ----------
        X : array or table, (N, m)
            An array with its columns in the order of `columns`, (N,) if there is one, or a table
            with these names.
        return_error : bool, default=False
            Whether to return standard errors too; those of quadrature are zero.

        Returns
        -------
        log_density : (N,)
            Minus infinity outside the bounds.
        standard_error : (N,)
            If asked for.
        """
        rows = self._asked.within_a_turn(self._places, rows_of_columns(X, self.columns))
        found = self._asked.log_densities(self._places, rows)
        warn_of_errors(found, stacklevel=3)
        return (found.values, found.errors) if return_error else found.values

    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return draws: rows of all columns without the others.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own.
        """
        check_n_samples(n_samples)
        estimator = self._asked.estimator
        rows = np.asarray(estimator.sample(n_samples, random_state=random_state))
        return as_asked(estimator, rows[:, self._places], self.columns)

    def mean(self) -> Float[np.ndarray, " m"]:
        """Return the mean of every column; of tables of more than two columns, that of draws."""
        if self._is_of_counts:
            return np.mean(self._own_draws, axis=0)
        return mean_of(self._joint, self._places)

    def quantile(self, levels) -> Any:
        """Return quantiles of every column; of tables of more than two columns, those of draws.

        Parameters
        ----------
        levels : float or (k,)
            Levels between 0 and 1.

        Returns
        -------
        (m,) or (k, m)
            Without the last axis for one column.
        """
        p = checked_levels(levels)
        if self._is_of_counts:
            quantiles = np.quantile(self._own_draws, p.reshape(-1), axis=0)
            return shaped_as(p, quantiles)
        return shaped_as(p, quantiles_of(self._joint, self._places, p.reshape(-1)))

    @property
    def _is_of_counts(self) -> bool:
        """Whether columns are discrete: over these there is no quadrature."""
        return len(self._asked.estimator.folding_.cells.columns) > 0

    @cached_property
    def _own_draws(self) -> Float[np.ndarray, "N m"]:
        """Draws of these columns."""
        rows = self._asked.estimator.sample(N_DRAWS, random_state=None)
        return np.asarray(rows, dtype=np.float64)[:, self._places]

    @cached_property
    def _joint(self) -> Joint:
        """The density of all columns, with as many draws as means and quantiles need."""
        joint, estimator = self._asked.joint, self._asked.estimator
        if joint.n <= 2:
            return joint
        draws = np.asarray(estimator.sample(N_DRAWS, random_state=None), dtype=np.float64)
        return replace(joint, draws=joint.coordinates.inward(draws))


def marginal(asked: Asked, columns: Any) -> MarginalDensity:
    """Return the density of some columns, given by their names or positions, or of one.

    Raises
    ------
    ValueError
        If a column is unknown or there twice, or there is none.
    """
    given = columns
    is_one = isinstance(columns, str | Integral) and position_of(columns, asked.names) >= 0
    columns = [columns] if is_one else columns
    is_list = isinstance(columns, Sequence | np.ndarray) and not isinstance(columns, str)
    columns = [*columns] if is_list else []
    if not columns:
        raise ValueError(f"Expected a list of columns of {quoted(asked.names)}; got {given!r}.")
    places = places_of(columns, asked.names, "a list of")
    return MarginalDensity([asked.names[j] for j in places], asked, places)


def scored_rows(estimator: Any, X: Any, *, integrate_missing: bool) -> Float[np.ndarray, "N n"]:
    """Return rows to score, with NaN for missing cells if these are to be integrated over."""
    return checked_rows(estimator, X, missing_ok=bool(integrate_missing), remedy=REMEDY)


def density_of_known(
    estimator: Any, density: LogDensity, bounds: Bounds, X: Float[np.ndarray, "N n"]
) -> Float[np.ndarray, " N"]:
    """Return the log-density of what is known of every row, after a warning of large errors.

    Parameters
    ----------
    estimator
        Fitted.
    density : callable
        Its log-density of plain rows, or another's.
    bounds : Bounds
        Of the columns.
    X : (N, n)
        Rows, NaN for missing cells.
    """
    if not np.isnan(X).any():
        return estimator.folding_.log_density(density, X)
    found = log_densities_of_known(Asked.of(estimator, density, bounds), X)
    warn_of_errors(found, stacklevel=4)
    return found.values


def log_densities_of_known(asked: Asked, X: Float[np.ndarray, "N n"]) -> LogMasses:
    """Return the log-densities of what is known of every row; NaN is a missing cell."""
    missing = np.isnan(X)
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    found = LogMasses(np.zeros(len(X)), np.zeros(len(X)), np.full(len(X), np.inf))
    for k, pattern in enumerate(patterns):
        rows, places = np.flatnonzero(which.reshape(-1) == k), np.flatnonzero(~pattern)
        if len(places):
            part = asked.log_densities(places, X[np.ix_(rows, places)])
            for whole, own in zip(found, part, strict=True):
                whole[rows] = own
    return found


def warn_of_errors(found: LogMasses, *, stacklevel: int) -> None:
    """Warn of rows whose importance samples are worth few independent draws."""
    few = np.flatnonzero(found.sizes < LEAST_OF_ROW)
    if len(few):
        worst = few[np.argmin(found.sizes[few])]
        warnings.warn(
            f"Expected importance samples worth {LEAST_OF_ROW:.0f} independent draws or more; got "
            f"fewer for {len(few)} of {len(found.sizes)} rows (the least {found.sizes[worst]:.1f} "
            f"in row {worst}, a standard error of {found.errors[worst]:.2g} nats; rows count from "
            "0). These rows lie far from the training data, or few of their cells are known.",
            InputWarning,
            stacklevel=stacklevel,
        )
