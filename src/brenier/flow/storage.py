"""A fitted flow as named arrays and plain metadata, and back: what a model file holds.

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
from brenier.flow.column_order import OrderedPreprocessing
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import (
    AbstractPreprocessing,
    ColumnBounds,
    ConditionalPreprocessing,
    ContextScaling,
    Preprocessing,
    Whitening,
)
from brenier.flow.tail import Tail
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.composition import Composition
from brenier.potential.conditional import ConditionalFeatures, GatedNetwork
from brenier.potential.features import AbstractMap, AbstractPotential, ConvexPotential, SumPotential
from brenier.potential.gaussian import AbstractGaussian, ConditionalGaussian, Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.picnn import Affine, PartiallyConvexNetwork
from brenier.potential.radial import RadialUnits
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
    return _as_floats(arrays | of_map | tail), {"kind": kind, "map": structure, **order}


def flow_from_arrays(arrays: Arrays, structure: Mapping[str, Any]) -> ConvexFlow:
    """Return the flow that `flow_to_arrays` took apart."""
    tail = Tail(arrays["tail.h"]) if "tail.h" in arrays else None
    preprocessing = _preprocessing_from_arrays(arrays, structure["kind"])
    # Older files have none.
    if "order" in structure:
        orders = (np.array(structure[name], dtype=int) for name in ORDERS)
        preprocessing = OrderedPreprocessing(preprocessing, *orders)
    return ConvexFlow(preprocessing, _map_from_arrays(arrays, structure["map"], "map"), tail)


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


def gaussian_from_arrays(arrays: Arrays, kind: str) -> AbstractGaussian:
    """Return the baseline that `gaussian_to_arrays` took apart; `kind` is the flow's."""
    gaussian = {"joint": Gaussian, "conditional": ConditionalGaussian}[kind]
    return gaussian(**{field.name: arrays[f"baseline.{field.name}"] for field in fields(gaussian)})


def _preprocessing_to_arrays(
    preprocessing: AbstractPreprocessing,
) -> tuple[dict[str, Array], str]:
    match preprocessing:
        case ConditionalPreprocessing():
            arrays, _ = _preprocessing_to_arrays(preprocessing.targets)
            return arrays | _by_path(preprocessing.scaling, "context"), "conditional"
        case Preprocessing(bounds=bounds, whitening=whitening):
            return _by_path(bounds, "bounds") | _by_path(whitening, "whitening"), "joint"
    raise TypeError(f"Expected preprocessing that has a place in a file; got {preprocessing}.")


def _preprocessing_from_arrays(arrays: Arrays, kind: str) -> AbstractPreprocessing:
    own = Preprocessing(
        _from_names(ColumnBounds, arrays, "bounds"), _from_names(Whitening, arrays, "whitening")
    )
    if kind == "joint":
        return own
    return ConditionalPreprocessing(own, _from_names(ContextScaling, arrays, "context"))


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


def _map_from_arrays(arrays: Arrays, structure: Mapping[str, Any], prefix: str) -> AbstractMap:
    match structure["kind"]:
        case "potential":
            return _potential_from_arrays(arrays, structure["features"], prefix)
        case "sum":
            members = _several_from_arrays(arrays, structure["members"], prefix)
            return SumPotential(members, arrays[f"{prefix}.shares"])
        case "composition":
            return Composition(_several_from_arrays(arrays, structure["maps"], prefix))
    raise ValueError(f"Expected a map of a kind that is known; got {structure['kind']!r}.")


def _several_to_arrays(
    potentials: tuple[AbstractPotential, ...], prefix: str
) -> tuple[dict[str, Array], list[Structure]]:
    parts = [_map_to_arrays(part, f"{prefix}.{i}") for i, part in enumerate(potentials)]
    arrays = {name: array for part, _ in parts for name, array in part.items()}
    return arrays, [structure for _, structure in parts]


def _several_from_arrays(
    arrays: Arrays, structures: list[Structure], prefix: str
) -> tuple[AbstractPotential, ...]:
    found = []
    for i, structure in enumerate(structures):
        part = _map_from_arrays(arrays, structure, f"{prefix}.{i}")
        if not isinstance(part, AbstractPotential):
            raise ValueError(f"Expected potentials in {prefix}; got {structure['kind']!r}.")
        found.append(part)
    return tuple(found)


def _potential_from_arrays(
    arrays: Arrays, structure: Mapping[str, Any], prefix: str
) -> ConvexPotential:
    axes, w = arrays[f"{prefix}.axes"], arrays[f"{prefix}.w"]
    match structure["kind"]:
        case "separable":
            units = _units_from_arrays(arrays, structure, prefix)
            return ConvexPotential(SeparableFeatures(units, axes, structure["normalised"]), w)
        case "conditional":
            network = _gated_from_arrays(arrays, structure, prefix)
            return ConvexPotential(ConditionalFeatures(network, axes), w)
    raise ValueError(f"Expected features of a kind that is known; got {structure['kind']!r}.")


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


def _units_from_arrays(arrays: Arrays, structure: Mapping[str, Any], prefix: str) -> AbstractUnits:
    layers = range(structure["n_layers"])
    network = InputConvexNetwork(
        K=tuple(arrays[f"{prefix}.K.{i}"] for i in layers),
        b=tuple(arrays[f"{prefix}.b.{i}"] for i in layers),
        L=tuple(arrays[f"{prefix}.L.{i}"] for i in layers[:-1]),
        activation=ACTIVATIONS[structure["activation"]],
        nonnegativity=NONNEGATIVITY[structure["nonnegativity"]],
    )
    if not structure["radial"]:
        return network
    return ConcatenatedUnits((network, _from_names(RadialUnits, arrays, f"{prefix}.radial")))


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


def _gated_from_arrays(arrays: Arrays, structure: Mapping[str, Any], prefix: str) -> GatedNetwork:
    def affine(path: str) -> Affine:
        return _from_names(Affine, arrays, f"{prefix}.{path}")

    layers, inside = range(structure["n_layers"]), f"{prefix}.units"
    units = PartiallyConvexNetwork(
        context=tuple(affine(f"units.context.{i}") for i in range(structure["n_context_layers"])),
        shift=affine("units.shift"),
        S=arrays[f"{inside}.S"],
        K=tuple(arrays[f"{inside}.K.{i}"] for i in layers),
        bias=tuple(affine(f"units.bias.{i}") for i in layers),
        L=tuple(arrays[f"{inside}.L.{i}"] for i in layers[:-1]),
        gate=tuple(affine(f"units.gate.{i}") for i in layers[:-1]),
        activation=ACTIVATIONS[structure["activation"]],
    )
    return GatedNetwork(units, affine("unit_gates"), affine("quadratic_gates"))


def _by_path(module: eqx.Module, prefix: str) -> dict[str, Array]:
    """Return a module's arrays, named by their places in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(module)
    return {
        f"{prefix}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for path, leaf in leaves
    }


def _from_names(kind: type[Any], arrays: Arrays, prefix: str) -> Any:
    """Return the module of arrays alone that `_by_path` took apart."""
    return kind(**{field.name: arrays[f"{prefix}.{field.name}"] for field in fields(kind)})


def _as_floats(arrays: dict[str, Array]) -> Arrays:
    return {name: np.asarray(array, dtype=float) for name, array in arrays.items()}


def _name_of(part: object, registry: Mapping[str, Any]) -> str:
    return next(name for name, known in registry.items() if type(known) is type(part))
