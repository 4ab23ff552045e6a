r"""Covariances of rows that are few for their columns, and which of them is the best.

The likeliest covariance S of N rows loses some n^2 / 4N nats a row to the true one, and has no
inverse where N <= n. Two kinds of estimate lose less: one that is shrunk,

    (1 - a) S + a m I,    m = tr S / n,

a by Ledoit and Wolf [1]_, or less of it, for heavy tails make it too much, or with I in the units
that the columns came in; and that of k factors and noise of every column's own,

    L L^T + diag(psi),    L (n, k),

the likeliest [2]_. Which of them, and how many factors, the rows choose: in turn parts of them are
held out. Columns are standardised first.

References
----------
.. [1] O. Ledoit, M. Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices",
       Journal of Multivariate Analysis 88, 2004.
.. [2] D. Barber, "Bayesian Reasoning and Machine Learning", algorithm 21.1, 2012.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from brenier.data.rows import WeightedRows
from brenier.training.settings import Settings

# Gain (nats, all rows together) at which a factor analysis ends: scikit-learn's, of twice the rows.
TOLERANCE = 2e-2
# Of more columns it finds the leading directions by random projections, ten times as quickly.
EXACT_COLUMNS = 128


class AbstractCovariance(ABC):
    """How the covariance of rows is estimated."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is, in a few words."""

    @property
    def shrinkage(self) -> float:
        """By how much correlations are shrunk whatever the rows are; 0 where rows tell."""
        return 0.0

    @property
    def is_regular(self) -> bool:
        """Whether it has an inverse however few the rows are."""
        return True

    @property
    def n_factors(self) -> int | None:
        """How many factors make what columns have in common; None where that is not said."""
        return None

    def in_units(self, M: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """Return a matrix of columns times the units that variances are compared in."""
        return M

    @abstractmethod
    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return the covariance of rows, less their mean, with weights that sum to one."""


@dataclass(frozen=True)
class SampleCovariance(AbstractCovariance):
    """The likeliest, of many rows: S."""

    @property
    def name(self) -> str:
        """What it is."""
        return "of the rows"

    @property
    def is_regular(self) -> bool:
        """Not of fewer rows than columns."""
        return False

    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return S."""
        return (omega[:, None] * centred).T @ centred


@dataclass(frozen=True)
class ShrunkCorrelations(AbstractCovariance):
    """(1 - a) S + a diag(S): positive definite for any number of rows.

    Parameters
    ----------
    share : float
        a.
    """

    share: float

    @property
    def name(self) -> str:
        """What it is."""
        return f"correlations shrunk by {self.share:.0%}"

    @property
    def shrinkage(self) -> float:
        """The share."""
        return self.share

    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return S with its correlations shrunk."""
        S = SampleCovariance().of(centred, omega)
        return S + self.share * (np.diag(np.diag(S)) - S)


@dataclass(frozen=True)
class Shrunk(AbstractCovariance):
    """(1 - a) S + a m I.

    Parameters
    ----------
    share : float
        Of the a of Ledoit and Wolf.
    """

    share: float = 1.0

    @property
    def name(self) -> str:
        """What it is."""
        return f"shrunk ({f'{self.share:g} of ' * (self.share != 1.0)}Ledoit-Wolf)"

    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return (1 - a) S + a m I."""
        S, n = SampleCovariance().of(centred, omega), centred.shape[1]
        m = np.trace(S) / n
        # What the entries of S err by, squared, and what they differ by from those of m I.
        error = np.sum(omega**2) * (omega @ np.sum(centred**2, axis=1) ** 2 - np.sum(S**2))
        difference = np.sum(S**2) - n * m**2
        most = float(np.clip(error / difference, 0.0, 1.0)) if difference > 0.0 else 1.0
        a = self.share * most
        return (1.0 - a) * S + a * m * np.eye(n)


@dataclass(frozen=True)
class ShrunkInUnits(AbstractCovariance):
    """The same of columns in units of their own, (1 - a) S + a m D^{-2} of the standardised ones.

    Where units are one for all, such as those of pixels, a column that hardly varies is no measure
    of itself.

    Parameters
    ----------
    scale : (n,)
        D, the standard deviations.
    """

    scale: Float[np.ndarray, " n"]

    @property
    def name(self) -> str:
        """What it is."""
        return "shrunk in the columns' units (Ledoit-Wolf)"

    def in_units(self, M: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """Return D M: standardised, one that hardly varies has as much variance as any."""
        return self.scale[:, None] * M

    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return (1 - a) S + a m D^{-2}."""
        largest = np.max(self.scale)
        unit = self.scale / largest
        return Shrunk().of(centred * unit, omega) / np.outer(unit, unit)


@dataclass(frozen=True)
class Factors(AbstractCovariance):
    """That of a few factors.

    Parameters
    ----------
    k : int
        How many.
    """

    k: int

    @property
    def name(self) -> str:
        """What it is."""
        return f"of {self.k} factor{'s' * (self.k > 1)}"

    @property
    def n_factors(self) -> int:
        """Their number."""
        return self.k

    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return L L^T + diag(psi)."""
        # Here and not above: it takes a while, and most fits do not need it.
        from sklearn.decomposition import FactorAnalysis
        from sklearn.exceptions import ConvergenceWarning

        # Of equal weights, and of mean zero whatever they were: every row and its opposite. Of
        # many rows as few as have the same covariance: all that it sees of them.
        rows = np.sqrt(omega)[:, None] * centred
        if len(rows) > rows.shape[1]:
            rows = np.linalg.qr(rows, mode="r")
        rows, tolerance = np.sqrt(len(rows)) * rows, TOLERANCE * len(rows) / len(omega)
        method = "lapack" if rows.shape[1] <= EXACT_COLUMNS else "randomized"
        model = FactorAnalysis(self.k, svd_method=method, tol=tolerance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(np.concatenate([rows, -rows])).get_covariance()


@dataclass(frozen=True)
class Transformed(AbstractCovariance):
    """An estimate of rows z = F x, for rows x: those of standardised columns, for whitened ones.

    Parameters
    ----------
    own : AbstractCovariance
        Of z.
    F : (n, n)
        Lower triangular.
    """

    own: AbstractCovariance
    F: Float[np.ndarray, "n n"]

    @property
    def name(self) -> str:
        """What it is of z."""
        return self.own.name

    @property
    def is_regular(self) -> bool:
        """Whether that of z is."""
        return self.own.is_regular

    @property
    def n_factors(self) -> int | None:
        """That of z."""
        return self.own.n_factors

    def of(
        self, centred: Float[np.ndarray, "N n"], omega: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, "n n"]:
        """Return F^{-1} times the covariance of z times F^{-T}."""
        half = solve_triangular(self.F, self.own.of(centred @ self.F.T, omega), lower=True)
        whole = solve_triangular(self.F, half.T, lower=True)
        return 0.5 * (whole + whole.T)


def chosen_covariance(
    rows: WeightedRows, scale: Float[np.ndarray, " n"], settings: Settings
) -> AbstractCovariance:
    """Return the estimate that is the best on parts of the rows that are held out in turn.

    Of so few rows that a part has none to speak of, and where no estimate has an inverse, it is
    that of shrunk correlations.

    Parameters
    ----------
    rows : WeightedRows
        Of standardised columns.
    scale : (n,)
        What these were divided by.
    settings : Settings
        Of the fit.
    """
    N, n = rows.X.shape
    best: AbstractCovariance = ShrunkCorrelations(n / (N + n))
    if not settings.can_choose_covariance(N):
        return best
    parts, last = [*_parts(rows, settings.covariance_parts)], -np.inf
    fewest, reached = min(len(train.X) for train, _ in parts), -np.inf
    others = [*map(Shrunk, settings.shrinkages), *[SampleCovariance()] * (fewest > n + 1)]
    for other in others:
        on_held_out = _heldout(other, parts)
        if on_held_out > reached:
            best, reached = other, on_held_out
    for k in settings.factor_counts:
        # Of more factors a covariance has no fewer numbers than any.
        if k >= fewest or k >= n or (n - k) ** 2 < n + k:
            break
        with_factors = _heldout(Factors(k), parts)
        if with_factors <= last:
            break
        last = with_factors
        if last > reached:
            best, reached = Factors(k), last
    # Last, and by much: as long as it is not taken, nothing depends on columns' units.
    in_units = ShrunkInUnits(scale)
    return in_units if _heldout(in_units, parts) > reached + settings.units_lead else best


def _parts(rows: WeightedRows, count: int) -> Iterator[tuple[WeightedRows, WeightedRows]]:
    """Yield rows to fit to and rows held out, in turn."""
    part = np.minimum((count * rows.position).astype(int), count - 1)
    for k in np.unique(part):
        train, held = rows[part != k], rows[part == k]
        if len(train.X) > 1:
            yield train, held


def _heldout(
    covariance: AbstractCovariance, parts: list[tuple[WeightedRows, WeightedRows]]
) -> float:
    """Return the mean log-density of held-out rows (nats), but for a constant."""
    total, weight = 0.0, 0.0
    for train, held in parts:
        omega = train.weights / np.sum(train.weights)
        mean = omega @ train.X
        try:
            L = np.linalg.cholesky(covariance.of(train.X - mean, omega))
        except np.linalg.LinAlgError:
            return -np.inf
        z = solve_triangular(L, (held.X - mean).T, lower=True)
        log_density = -0.5 * np.sum(z**2, axis=0) - np.sum(np.log(np.diag(L)))
        total += float(held.weights @ log_density)
        weight += float(np.sum(held.weights))
    return total / weight
