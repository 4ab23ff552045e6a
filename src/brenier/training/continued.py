"""A family whose runs begin at the weights of a model that was fitted before.

The columns are in the model's order, and standardised as the new rows are: of rows much like the
old ones the weights mean nearly the same. Everything else of the recipe is as ever: rows are held
out, early stopping ends the runs, and the Gaussian of the new rows is the baseline. The
hyperparameters are the model's, and none are selected. Potential after potential begins at one of
the model's, with the same turn of held-out rows: which these are, their contents say, so that rows
that are in both tables and were held out still are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import Bounds
from brenier.data.rows import WeightedRows
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.potential.conditional import ConditionalFeatures
from brenier.potential.features import AbstractFeatures, ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.radial import RadialUnits
from brenier.potential.sums import SumPotential
from brenier.potential.units import ConcatenatedUnits
from brenier.training.covariance import AbstractCovariance
from brenier.training.families import AbstractFamily, AbstractStart
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.reduced import VariableProjection

Trained = SeparableFeatures | ConditionalFeatures


@dataclass(frozen=True)
class OldWeights(AbstractStart):
    """The weights of one of a model's potentials; the last layer is solved for anew."""

    old: Trained

    def features(
        self, hyperparameters: Hyperparameters, settings: Settings, gaussian: Any
    ) -> AbstractFeatures:
        """Return the old features along the axes of the new rows' Gaussian."""
        return replace(self.old, axes=gaussian.axes) if len(self.old.axes) else self.old


@dataclass(frozen=True)
class Continued(AbstractFamily):
    """A family, begun at a model.

    Parameters
    ----------
    family : AbstractFamily
        What kind of density, its columns in the model's order.
    flow : ConvexFlow
        The model, of one map.
    directions : (k, n), optional
        Along which runs see the whitened columns; None: as they are.
    """

    family: AbstractFamily
    flow: ConvexFlow
    directions: Float[np.ndarray, "k n"] | None = None

    def preprocessing(
        self, rows: WeightedRows, bounds: Bounds, settings: Settings
    ) -> tuple[AbstractPreprocessing, AbstractCovariance]:
        """Return the family's."""
        return self.family.preprocessing(rows, bounds, settings)

    def along(self, directions: Float[np.ndarray, "k n"]) -> "Continued":
        """Return the family begun at what the model is along the directions."""
        return replace(self, directions=directions)

    def start(
        self,
        X: Float[np.ndarray, "N d"],
        settings: Settings,
        candidates: Sequence[Hyperparameters],
        rng: np.random.Generator,
        turn: int = 0,
    ) -> OldWeights:
        """Return the weights of the model's potentials, one after the other."""
        members = potentials_of(self.flow)
        old = members[turn % len(members)]
        if self.directions is not None and isinstance(old, SeparableFeatures):
            old = replace(old, network=old.network.through(self.directions.T))
        return OldWeights(old)

    def problem(
        self,
        features: AbstractFeatures,
        hyperparameters: Hyperparameters,
        settings: Settings,
        gaussian: Any,
    ) -> VariableProjection:
        """Return the separable problem, none of whose units are idle."""
        own = replace(hyperparameters, n_radial=_n_radial(features))
        return self.family.problem(features, own, settings, gaussian)

    def gaussian(
        self, rows: WeightedRows, settings: Settings, covariance: AbstractCovariance
    ) -> Any:
        """Return the family's."""
        return self.family.gaussian(rows, settings, covariance)

    def bounds_and_ridge(
        self, features: Any, settings: Settings, gaussian: Any
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return the family's."""
        return self.family.bounds_and_ridge(features, settings, gaussian)

    def gaussian_weights(self, features: Any, gaussian: Any) -> Float[np.ndarray, " m"]:
        """Return the family's."""
        return self.family.gaussian_weights(features, gaussian)

    def cold_weights(
        self, features: Any, settings: Settings, gaussian: Any
    ) -> Float[np.ndarray, " m"]:
        """Return the family's."""
        return self.family.cold_weights(features, settings, gaussian)


def potentials_of(flow: ConvexFlow) -> list[Trained]:
    """Return the features of a model's potentials, those that were trained one by one.

    Raises
    ------
    ValueError
        If the model is a composition.
    """
    whole, *others = flow.map.potentials
    if others:
        raise ValueError(
            f"Expected a model of one map to begin at; got a composition of {1 + len(others)}. "
            "Fit it anew, or fit with n_maps=1."
        )
    parts = whole.members if isinstance(whole, SumPotential) else (whole,)
    found = [part.features for part in parts if isinstance(part, ConvexPotential)]
    return [features for features in found if isinstance(features, Trained)]


def _n_radial(features: AbstractFeatures) -> int:
    """Return the number of radial units of features."""
    if not isinstance(features, SeparableFeatures):
        return 0
    units = features.network
    parts = units.parts if isinstance(units, ConcatenatedUnits) else (units,)
    return sum(part.width for part in parts if isinstance(part, RadialUnits))
