"""A block-triangular density, given values of its leading columns: exact, block by block."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from brenier.estimators.conditioned import checked_levels, shaped_as
from brenier.estimators.normal import check_n_samples, generator
from brenier.estimators.tables import as_asked, column_names, rows_of_columns
from brenier.marginal.joint import Coordinates, Joint
from brenier.marginal.slices import mean_of, quantiles_of

if TYPE_CHECKING:
    import polars as pl

# Draws that means and quantiles are of.
N_DRAWS = 1 << 15


@dataclass(frozen=True)
class ConditionedFlow:
    """A block-triangular density, given values of its leading columns.

    Attributes
    ----------
    joint : TriangularConvexPotentialFlow
        The density of all columns.
    k : int
        Number of leading blocks that are given.
    values : (d,)
        Values of their columns.
    """

    joint: Any
    k: int
    values: Float[np.ndarray, " d"]

    @property
    def columns(self) -> list[str]:
        """The other columns, block after block."""
        return [name for block in self.joint.blocks_[self.k :] for name in block]

    @property
    def given(self) -> dict[str, float]:
        """The values of the leading columns."""
        names = [name for block in self.joint.blocks_[: self.k] for name in block]
        return dict(zip(names, self.values.tolist(), strict=True))

    @property
    def log_density_of_given(self) -> float:
        """The logarithm of the density of these (nats)."""
        total, done = 0.0, 0
        for flow, block in zip(
            self.joint.flows_[: self.k], self.joint.blocks_[: self.k], strict=True
        ):
            end = done + len(block)
            rows = frame_of_rows(self.values[None, :end], [*self.given][:end])
            parts = [rows[:, :done], rows[:, done:]] if done else [rows]
            total, done = total + float(flow.score_samples(*parts)[0]), end
        return total

    @property
    def standard_error(self) -> float:
        """Standard error of log-densities (nats): none, they are the blocks' own."""
        return 0.0

    @property
    def effective_size(self) -> float:
        """How many independent draws log-densities are of: they are exact."""
        return float("inf")

    def log_density(self, X) -> Float[np.ndarray, " N"]:
        """Return the log-density of rows of the other columns, given the values (nats).

        Parameters
        ----------
        X : array or table, (N, m)
            As of `score_samples`, which is the same.
        """
        return self.score_samples(X)

    def mean(self) -> Float[np.ndarray, " m"]:
        """Return the mean of every other column; of more than two, that of draws."""
        return mean_of(self._joint, np.arange(len(self.columns)))

    def quantile(self, levels) -> Any:
        """Return quantiles of every other column; of more than two, those of draws.

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
        columns = np.arange(len(self.columns))
        return shaped_as(p, quantiles_of(self._joint, columns, p.reshape(-1)))

    @cached_property
    def _joint(self) -> Joint:
        """The density of the other columns, of no others."""
        names = [name for block in self.joint.blocks_ for name in block]
        order = [column_names(self.joint).index(name) for name in names[len(self.values) :]]
        bounds = self.joint._bounds
        draws = self._drawn(N_DRAWS)
        coordinates = Coordinates.about(draws, bounds.low[order], bounds.high[order])
        return Joint(self.score_samples, coordinates, coordinates.inward(draws))

    def score_samples(self, X) -> Float[np.ndarray, " N"]:
        """Return the log-density of rows of the other columns, given the values (nats).

        Parameters
        ----------
        X : array or table, (N, m)
            An array with its columns in the order of `columns`, or a table with these names.
        """
        rows = rows_of_columns(X, self.columns)
        names = [name for block in self.joint.blocks_ for name in block]
        whole = np.concatenate([np.tile(self.values, (len(rows), 1)), rows], axis=1)
        total, done = np.zeros(len(rows)), len(self.values)
        for flow, block in zip(
            self.joint.flows_[self.k :], self.joint.blocks_[self.k :], strict=True
        ):
            end = done + len(block)
            context = frame_of_rows(whole[:, :done], names[:done])
            total = total + flow.score_samples(context, whole[:, done:end])
            done = end
        return total

    def sample(self, n_samples=1, random_state=None) -> Any:
        """Return rows of the other columns drawn given the values, in the order of `columns`.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own.
        """
        rows = self._drawn(n_samples, random_state)
        return as_asked(self.joint, rows, self.columns)

    def _drawn(self, n_samples: Any, random_state: Any = None) -> Float[np.ndarray, "N m"]:
        Z = drawn_points(n_samples, len(self.columns), random_state, self.joint.random_state)
        given = np.tile(self.values, (len(Z), 1))
        return self.joint._from_normal(given, self.joint._in_order(Z))[:, len(self.values) :]


def frame_of_rows(rows: np.ndarray, names: list[str]) -> "pl.DataFrame":
    """Return rows as a data frame with named columns."""
    # Here and not above, so that all other estimators do not wait for it.
    import polars as pl

    return pl.from_numpy(np.ascontiguousarray(rows), schema=names)


def drawn_points(
    n_samples: Any, n: int, random_state: Any, default: Any
) -> Float[np.ndarray, "N n"]:
    """Return points of the normal space in n dimensions."""
    check_n_samples(n_samples)
    return generator(random_state, default).normal(size=(int(n_samples), n))
