"""A fitted flow as named arrays and plain metadata: what a model file holds.

`brenier.flow.rebuild` makes the flow of them again.

Every part has a `kind`, which says what it is rebuilt as: a flow is "joint" or "conditional"; a map
is a "potential", a "sum" or a "composition"; a potential's features are "separable" or
"conditional". Arrays are named by their places: those of the third map of a composition begin with
`map.2.`.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np

from brenier.arrays import Array
from brenier.flow.column_order import OrderedPreprocessing, own_columns
from brenier.flow.context import ContextScaling
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import (
    AbstractPreprocessing,
    ConditionalPreprocessing,
    Preprocessing,
)
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.composition import Composition
from brenier.potential.conditional import ConditionalFeatures
from brenier.potential.features import AbstractMap, AbstractPotential, ConvexPotential
from brenier.potential.gaussian import AbstractGaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.radial import RadialUnits
from brenier.potential.sums import SumPotential
from brenier.potential.units import AbstractUnits, ConcatenatedUnits

# Which column comes first, second, ...; of the density's own columns, and of a context's.
ORDERS = ("order", "context_order")

Arrays = dict[str, np.ndarray]
Structure = dict[str, Any]


def flow_to_arrays(flow: ConvexFlow) -> tuple[Arrays, Structure]:
    """Return a flow's arrays by name, and what else it takes to rebuild it."""
    preprocessing, order = _without_order(flow.preprocessing)
    arrays, kind = _preprocessing_to_arrays(preprocessing)
    of_map, structure = _map_to_arrays(flow.map, "map")
    tail = {} if flow.tail is None else _by_path(flow.tail, "tail")
    probit = {"probit": own_columns(preprocessing)[0].bounds.probit}
    return _as_floats(arrays | of_map | tail), {"kind": kind, "map": structure, **probit, **order}


def _without_order(preprocessing: AbstractPreprocessing) -> tuple[AbstractPreprocessing, Structure]:
    """Return the preprocessing of columns in their own order, and which that is."""
    if not isinstance(preprocessing, OrderedPreprocessing):
        return preprocessing, {}
    orders = {name: np.asarray(getattr(preprocessing, name)).tolist() for name in ORDERS}
    return preprocessing.inner, orders


def gaussian_to_arrays(gaussian: AbstractGaussian) -> Arrays:
    """Return the baseline's arrays by name."""
    return {
        f"baseline.{field.name}": getattr(gaussian, field.name)
        for field in fields(cast(Any, gaussian))
    }


def _preprocessing_to_arrays(
    preprocessing: AbstractPreprocessing,
) -> tuple[dict[str, Array], str]:
    match preprocessing:
        case ConditionalPreprocessing(targets=targets, scaling=scaling, spread=spread):
            arrays, _ = _preprocessing_to_arrays(targets)
            arrays |= {} if spread is None else _by_path(spread, "spread")
            return arrays | _context_to_arrays(scaling), "conditional"
        case Preprocessing(bounds=bounds, whitening=whitening, far=far):
            nearer = {} if far is None else _by_path(far, "far")
            return _by_path(bounds, "bounds") | _by_path(whitening, "whitening") | nearer, "joint"
    raise TypeError(f"Expected preprocessing that has a place in a file; got {preprocessing}.")


def _context_to_arrays(scaling: ContextScaling) -> dict[str, Array]:
    names = [field.name for field in fields(scaling) if field.name != "curve"]
    arrays = {f"context.{name}": getattr(scaling, name) for name in names}
    return arrays | ({} if scaling.curve is None else _by_path(scaling.curve, "curve"))


def _map_to_arrays(map_: AbstractMap, prefix: str) -> tuple[dict[str, Array], Structure]:
    match map_:
        case ConvexPotential(features=SeparableFeatures() as features, w=w):
            arrays, structure = _separable_to_arrays(features, prefix)
        case ConvexPotential(features=ConditionalFeatures() as features, w=w):
            arrays, structure = _conditional_to_arrays(features, prefix)
        case SumPotential(members=members, shares=shares):
            arrays, members = _several_to_arrays(members, prefix)
            return arrays | {f"{prefix}.shares": shares}, {"kind": "sum", "members": members}
        case Composition(chain=chain):
            arrays, maps = _several_to_arrays(chain, prefix)
            return arrays, {"kind": "composition", "maps": maps}
        case _:
            raise TypeError(f"Expected a map that has a place in a file; got {map_}.")
    arrays |= {f"{prefix}.axes": features.axes, f"{prefix}.w": w}
    return arrays, {"kind": "potential", "features": structure}


def _several_to_arrays(
    potentials: tuple[AbstractPotential, ...], prefix: str
) -> tuple[dict[str, Array], list[Structure]]:
    parts = [_map_to_arrays(part, f"{prefix}.{i}") for i, part in enumerate(potentials)]
    arrays = {name: array for part, _ in parts for name, array in part.items()}
    return arrays, [structure for _, structure in parts]


def _separable_to_arrays(
    features: SeparableFeatures, prefix: str
) -> tuple[dict[str, Array], Structure]:
    network, radial = _parts(features.network)
    arrays: dict[str, Array] = {}
    for name, layers in (("K", network.K), ("b", network.b), ("L", network.L)):
        arrays |= {f"{prefix}.{name}.{i}": layer for i, layer in enumerate(layers)}
    if radial is not None:
        arrays |= _by_path(radial, f"{prefix}.radial")
    structure = {
        "kind": "separable",
        "activation": _name_of(network.activation, ACTIVATIONS),
        "nonnegativity": _name_of(network.nonnegativity, NONNEGATIVITY),
        "normalised": features.normalised,
        "n_layers": len(network.K),
        "radial": radial is not None,
    }
    return arrays, structure


def _parts(units: AbstractUnits) -> tuple[InputConvexNetwork, RadialUnits | None]:
    """Return the network, and the radial units beside it if there are any."""
    match units.parts if isinstance(units, ConcatenatedUnits) else (units,):
        case (InputConvexNetwork() as network,):
            return network, None
        case (InputConvexNetwork() as network, RadialUnits() as radial):
            return network, radial
    raise TypeError(f"Expected a network, with radial units beside it or without; got {units}.")


def _conditional_to_arrays(
    features: ConditionalFeatures, prefix: str
) -> tuple[dict[str, Array], Structure]:
    units = features.network.units
    structure = {
        "kind": "conditional",
        "activation": _name_of(units.activation, ACTIVATIONS),
        "n_layers": len(units.K),
        "n_context_layers": len(units.context),
    }
    return _by_path(features.network, prefix), structure


def _by_path(module: eqx.Module, prefix: str) -> dict[str, Array]:
    """Return a module's arrays, named by their places in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(module)
    return {
        f"{prefix}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for path, leaf in leaves
    }


def _as_floats(arrays: dict[str, Array]) -> Arrays:
    return {name: np.asarray(array, dtype=float) for name, array in arrays.items()}


def _name_of(part: object, registry: Mapping[str, Any]) -> str:
    return next(name for name, known in registry.items() if type(known) is type(part))
