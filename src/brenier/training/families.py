r"""Families of densities: of all columns, or of targets given a context.

A family knows what the recipe does not: how its rows are preprocessed, what its Gaussian baseline
is, where a run starts, and the bounds of the last layer's weights. The log-likelihood of p(y | c)
is a sum over rows like any other, with derivatives in y only: nothing else of the recipe knows that
part of a row is a context.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.arrays import standardise
from brenier.data.bounds import Bounds
from brenier.data.checks import is_constant
from brenier.data.column_order import column_order
from brenier.data.rows import WeightedRows
from brenier.flow.column_order import OrderedPreprocessing
from brenier.flow.context import ContextScaling
from brenier.flow.preprocessing import (
    AbstractPreprocessing,
    ColumnBounds,
    ConditionalPreprocessing,
    Preprocessing,
    Whitening,
    whitening,
)
from brenier.potential.conditional import ConditionalFeatures, GatedNetwork
from brenier.potential.features import AbstractFeatures
from brenier.potential.gaussian import AbstractGaussian, ConditionalGaussian, Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import (
    initial_conditional_network,
    initial_network,
    initial_radial_units,
)
from brenier.potential.radial import RadialUnits
from brenier.potential.units import AbstractUnits, ConcatenatedUnits
from brenier.training.context_spread import context_spread
from brenier.training.covariance import (
    AbstractCovariance,
    SampleCovariance,
    ShrunkCorrelations,
    Transformed,
    chosen_covariance,
)
from brenier.training.far_rows import far_rows_nearer
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.reduced import PIN, VariableProjection


class AbstractStart(ABC):
    """Initial weights, the same for all hyperparameters."""

    @abstractmethod
    def features(
        self, hyperparameters: Hyperparameters, settings: Settings, gaussian: Any
    ) -> AbstractFeatures:
        """Return the features that have these weights."""


class AbstractFamily(ABC):
    """What kind of density is fitted."""

    @abstractmethod
    def preprocessing(
        self, rows: WeightedRows, bounds: Bounds, settings: Settings
    ) -> tuple[AbstractPreprocessing, AbstractCovariance]:
        """Return what comes before the potential, and the covariance that rows have there.

        Parameters
        ----------
        rows : WeightedRows
            In data units.
        bounds : Bounds
            Of the columns that the density is of.
        settings : Settings
            Of the fit.
        """

    @abstractmethod
    def gaussian(
        self, rows: WeightedRows, settings: Settings, covariance: AbstractCovariance
    ) -> Any:
        """Return the Gaussian baseline of preprocessed rows, their covariance estimated so."""

    def along(self, directions: Float[np.ndarray, "k n"]) -> "AbstractFamily":
        """Return the family of densities of so many directions of whitened columns."""
        return self

    @abstractmethod
    def start(
        self,
        X: Float[np.ndarray, "N d"],
        settings: Settings,
        candidates: Sequence[Hyperparameters],
        rng: np.random.Generator,
        turn: int = 0,
    ) -> AbstractStart:
        """Return freshly drawn initial weights for all candidates, placed by the rows X.

        `turn` counts the starts of a fit; what is drawn does not depend on it.
        """

    @abstractmethod
    def bounds_and_ridge(
        self, features: Any, settings: Settings, gaussian: Any
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return every last weight's lower bound (minus infinity for none) and its ridge."""

    @abstractmethod
    def gaussian_weights(self, features: Any, gaussian: Any) -> Float[np.ndarray, " m"]:
        """Return the w that makes the features the Gaussian baseline, where that is inside."""

    @abstractmethod
    def cold_weights(
        self, features: Any, settings: Settings, gaussian: Any
    ) -> Float[np.ndarray, " m"]:
        """Return strictly feasible w near the baseline, with a little of every feature."""

    def problem(
        self,
        features: AbstractFeatures,
        hyperparameters: Hyperparameters,
        settings: Settings,
        gaussian: AbstractGaussian,
    ) -> VariableProjection:
        """Return the separable problem of features."""
        lower, ridge = self.bounds_and_ridge(features, settings, gaussian)
        decay = np.asarray(hyperparameters.decay)
        return VariableProjection(features, lower, ridge, settings.solver, decay, settings.devices)


def _preprocessing(
    Y: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"],
    bounds: Bounds,
    settings: Settings,
    context: Float[np.ndarray, "N q"] | None = None,
) -> Preprocessing:
    """Return bounds and whitening of a density's own columns, given a standardised context."""
    column_bounds = ColumnBounds(*bounds)
    bounded = column_bounds.columns(Y)
    how = _removed(bounded, settings)
    nearer = far_rows_nearer(bounded, weights, how, settings.distances, context)
    return Preprocessing(column_bounds, *nearer)


def goes_through(N: int, d: int) -> bool:
    """Return whether a linear regression goes through N rows of d columns, targets included."""
    return N <= d + 1


def _of_few(
    plain: Preprocessing, Y: Float[np.ndarray, "N n"], rows: WeightedRows, settings: Settings
) -> tuple[Preprocessing, AbstractCovariance]:
    """Return preprocessing of columns with few rows, Y, and the covariance these have there.

    The rows choose how it is estimated, and it is what is removed. Where far ones are brought
    nearer, `plain` does it, and they choose where they are then.
    """
    if plain.far is not None:
        nearer = rows.at(np.asarray(plain.forward(Y)[0]))
        return plain, chosen_covariance(nearer, np.ones(plain.n), settings)
    mean, scale, standardised = standardise(plain.bounds.columns(Y), rows.weights)
    covariance = chosen_covariance(rows.at(standardised), scale, settings)
    if settings.whiten == "none":
        return plain, Transformed(covariance, np.diag(1.0 / scale))
    if settings.whiten == "standardize":
        return plain, covariance
    removed = plain.whitening
    if covariance.is_regular:
        omega = rows.weights / np.sum(rows.weights)
        factor = np.linalg.cholesky(covariance.of(standardised, omega))
        removed = Whitening(mean, scale, factor)
    factor = np.asarray(removed.factor)
    return Preprocessing(plain.bounds, removed), Transformed(covariance, factor)


def _removed(Y: Float[np.ndarray, "N n"], settings: Settings) -> str:
    """Return which covariance is removed from rows."""
    N, n = Y.shape
    return "standardize" if settings.whiten == "full" and N <= n else settings.whiten


def _with_spread(
    rows: WeightedRows,
    context: Float[np.ndarray, "N q"],
    bounds: Bounds,
    scaling: ContextScaling,
    settings: Settings,
) -> ConditionalPreprocessing | None:
    """Return preprocessing of targets that removes a scale which depends on the context, if any.

    Where none is whitened, none is removed.
    """
    if settings.whiten == "none":
        return None
    column_bounds = ColumnBounds(*bounds)
    bounded = column_bounds.columns(rows.X)
    plain = whitening(bounded, rows.weights, _removed(bounded, settings))
    some = slice(settings.spread_rows)
    both = np.concatenate([plain.forward(bounded[some]), context[some]], axis=1)
    spread = context_spread(rows[some].at(both), bounded.shape[1], settings)
    if spread is None:
        return None
    return ConditionalPreprocessing(Preprocessing(column_bounds, plain), scaling, spread)


def _ordered(bounds: Bounds, order: np.ndarray) -> Bounds:
    return Bounds(bounds.low[order], bounds.high[order])


@dataclass(frozen=True)
class JointStart(AbstractStart):
    """Initial weights: the network, and as many radial units as any candidate has."""

    network: InputConvexNetwork
    radial: RadialUnits

    def units(self, n_radial: int) -> AbstractUnits:
        """Return the network with its first `n_radial` radial units beside it."""
        if n_radial == 0:
            return self.network
        radial = RadialUnits(self.radial.B[:n_radial], self.radial.e[:n_radial])
        return ConcatenatedUnits((self.network, radial))

    def features(
        self, hyperparameters: Hyperparameters, settings: Settings, gaussian: Gaussian
    ) -> SeparableFeatures:
        """Return the features that have these weights: where w is eliminated, all candidates'."""
        quadratic, eliminates = settings.algorithm.quadratic, settings.eliminates
        axes = gaussian.axes if quadratic else np.zeros((0, self.network.n))
        n_radial = self.radial.width if eliminates else hyperparameters.n_radial
        return SeparableFeatures(self.units(n_radial), axes, normalised=quadratic)


@dataclass(frozen=True)
class JointFamily(AbstractFamily):
    """The density of all columns: `SeparableFeatures`.

    Parameters
    ----------
    order : (n,), optional
        Which column comes first, second, ...; None: the columns' own order.
    """

    order: Int[np.ndarray, " n"] | None = None

    def preprocessing(
        self, rows: WeightedRows, bounds: Bounds, settings: Settings
    ) -> tuple[OrderedPreprocessing, AbstractCovariance]:
        """Return bounds and whitening of all columns, in an order of their own."""
        order = column_order(rows.X) if self.order is None else self.order
        Y, covariance = rows.X[:, order], SampleCovariance()
        inner = _preprocessing(Y, rows.weights, _ordered(bounds, order), settings)
        if settings.are_few(rows.effective_size, len(order)):
            inner, covariance = _of_few(inner, Y, rows, settings)
        return OrderedPreprocessing(inner, order, np.zeros(0, dtype=int)), covariance

    def gaussian(
        self, rows: WeightedRows, settings: Settings, covariance: AbstractCovariance
    ) -> Gaussian:
        """Return the Gaussian of the rows' mean and covariance."""
        omega = rows.weights / np.sum(rows.weights)
        mean = omega @ rows.X
        return Gaussian.of(mean, covariance.of(rows.X - mean, omega))

    def start(
        self,
        X: Float[np.ndarray, "N n"],
        settings: Settings,
        candidates: Sequence[Hyperparameters],
        rng: np.random.Generator,
        turn: int = 0,
    ) -> JointStart:
        """Return a network and radial units placed by the rows."""
        parts = settings.widths, settings.activation, settings.nonnegativity
        spread = settings.kink_spread
        network = initial_network(X, *parts, rng, spread=spread)
        n_radial = max((candidate.n_radial for candidate in candidates), default=0)
        radial = initial_radial_units(X, n_radial, rng, spread=spread, noise=settings.radial_noise)
        return JointStart(network, radial)

    def problem(
        self,
        features: SeparableFeatures,
        hyperparameters: Hyperparameters,
        settings: Settings,
        gaussian: Gaussian,
    ) -> VariableProjection:
        """Return the separable problem; radial units beyond the candidate's are there but idle.

        So all candidates' runs are the same compiled programs.
        """
        problem = super().problem(features, hyperparameters, settings, gaussian)
        network, n_idle = features.network, _n_radial(features) - hyperparameters.n_radial
        decay = np.full(sum(np.size(array) for array in network.decayed()), hyperparameters.decay)
        lower, ridge = np.array(problem.lower), np.array(problem.ridge)
        if n_idle > 0:
            idle = slice(network.width - n_idle, network.width)
            lower[idle], ridge[idle] = -np.inf, PIN
            decay[-n_idle * features.n**2 :] = 0.0
        return replace(problem, lower=lower, ridge=ridge, decay=decay)

    def bounds_and_ridge(
        self, features: SeparableFeatures, settings: Settings, gaussian: Gaussian
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return lower bounds of network and quadratics, and the network's ridge."""
        width, n = features.network.width, features.n
        quadratic = settings.algorithm.quadratic
        of_quadratics = settings.w_min / gaussian.sd if quadratic else np.zeros(0)
        lower = np.concatenate([np.zeros(width), of_quadratics, np.full(n, -np.inf)])
        ridge = np.zeros(len(lower))
        ridge[:width] = settings.ridge
        return lower, ridge

    def gaussian_weights(
        self, features: SeparableFeatures, gaussian: Gaussian
    ) -> Float[np.ndarray, " m"]:
        """Return no weight on the network, and the Gaussian's."""
        return gaussian.weights(features.network.width)

    def cold_weights(
        self, features: SeparableFeatures, settings: Settings, gaussian: Gaussian
    ) -> Float[np.ndarray, " m"]:
        """Return the Gaussian's w, with a little of every network feature."""
        width = features.network.width
        if not len(features.axes):
            return np.concatenate([np.ones(width), np.zeros(features.n)])
        w = gaussian.weights(width)
        w[:width] = settings.cold_weight / width
        return w


def _n_radial(features: SeparableFeatures) -> int:
    """Return the number of radial units of features, idle ones included."""
    network = features.network
    parts = network.parts if isinstance(network, ConcatenatedUnits) else (network,)
    return sum(part.width for part in parts if isinstance(part, RadialUnits))


@dataclass(frozen=True)
class ConditionalStart(AbstractStart):
    """Initial weights."""

    network: GatedNetwork

    def features(
        self, hyperparameters: Hyperparameters, settings: Settings, gaussian: ConditionalGaussian
    ) -> ConditionalFeatures:
        """Return the features that have these weights, whatever the hyperparameters."""
        return ConditionalFeatures(self.network, gaussian.axes)


@dataclass(frozen=True)
class ConditionalFamily(AbstractFamily):
    """The density of n targets given a context: `ConditionalFeatures`.

    Parameters
    ----------
    n : int
        Number of targets, the first columns of the rows.
    order : (d,), optional
        Which column, targets and context, comes first, second, ...; None: the columns' own order.
    """

    n: int
    order: Int[np.ndarray, " d"] | None = None

    def preprocessing(
        self, rows: WeightedRows, bounds: Bounds, settings: Settings
    ) -> tuple[OrderedPreprocessing, AbstractCovariance]:
        """Return bounds and whitening of the targets, scaling of the context, both ordered."""
        everything = column_order(rows.X) if self.order is None else self.order
        order = everything[everything < self.n]
        context_order = everything[everything >= self.n] - self.n
        Y, C = rows.X[:, order], rows.X[:, self.n + context_order]
        scaling = ContextScaling.of(C, rows.weights, is_constant(C), settings.bending)
        context, bounds = np.asarray(scaling.forward(C)), _ordered(bounds, order)
        inner = _with_spread(rows.at(Y), context, bounds, scaling, settings)
        if inner is None:
            targets = _preprocessing(Y, rows.weights, bounds, settings, context)
            inner = ConditionalPreprocessing(targets, scaling)
        N, d = rows.X.shape
        covariance = ShrunkCorrelations(d / (N + d)) if goes_through(N, d) else SampleCovariance()
        return OrderedPreprocessing(inner, order, context_order), covariance

    def gaussian(
        self, rows: WeightedRows, settings: Settings, covariance: AbstractCovariance
    ) -> ConditionalGaussian:
        """Return the linear regression with constant covariance."""
        return ConditionalGaussian.fit(
            rows.X,
            self.n,
            rows.weights,
            covariance.shrinkage,
            ridge=settings.regression_ridge,
            least_sd=settings.least_sd,
        )

    def start(
        self,
        X: Float[np.ndarray, "N d"],
        settings: Settings,
        candidates: Sequence[Hyperparameters],
        rng: np.random.Generator,
        turn: int = 0,
    ) -> ConditionalStart:
        """Return a network placed by the rows."""
        network = initial_conditional_network(
            X,
            self.n,
            settings.widths,
            settings.context_widths,
            settings.n_gates,
            settings.activation,
            rng,
            spread=settings.kink_spread,
            context=settings.context_start,
        )
        return ConditionalStart(network)

    def bounds_and_ridge(
        self, features: ConditionalFeatures, settings: Settings, gaussian: ConditionalGaussian
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return bounds of network and quadratics, and a ridge on all that others may equal."""
        m_plus, width, n = features.n_constrained, features.width, features.n
        lower = np.full(features.n_features, -np.inf)
        lower[:m_plus] = 0.0
        lower[width : width + n] = settings.w_min / gaussian.sd
        # The free features of context features may be the same as others.
        ridge = np.full(features.n_features, settings.ridge)
        ridge[width : width + n] = 0.0
        ridge[m_plus : m_plus + n] = 0.0
        return lower, ridge

    def gaussian_weights(
        self, features: ConditionalFeatures, gaussian: ConditionalGaussian
    ) -> Float[np.ndarray, " m"]:
        """Return the regression's w."""
        return gaussian.weights(features)

    def cold_weights(
        self, features: ConditionalFeatures, settings: Settings, gaussian: ConditionalGaussian
    ) -> Float[np.ndarray, " m"]:
        """Return the regression's w, with a little of every network feature and gate."""
        w = gaussian.weights(features)
        width, n = features.width, features.n
        w[:width] = settings.cold_weight / width
        w[width + n : features.n_constrained] = settings.cold_weight
        return w
