"""A fitted flow as named arrays and plain metadata, and back: what a model file holds."""

from dataclasses import fields
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np

from brenier.arrays import Array
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import (
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
from brenier.potential.features import AbstractMap, ConvexPotential, SumPotential
from brenier.potential.gaussian import AbstractGaussian, Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.picnn import Affine, PartiallyConvexNetwork
from brenier.potential.radial import RadialUnits
from brenier.potential.units import AbstractUnits, ConcatenatedUnits
from brenier.training.conditional import ConditionalGaussian

Arrays = dict[str, np.ndarray]


def flow_to_arrays(flow: ConvexFlow) -> tuple[Arrays, dict[str, Any]]:
    """Return a flow's arrays by name, and what else it takes to rebuild it."""
    match flow:
        case ConvexFlow(
            preprocessing=ConditionalPreprocessing() as preprocessing,
            map=map_,
        ):
            arrays = _preprocessing_to_arrays(preprocessing.targets)
            arrays |= _by_path(preprocessing.scaling, "context")
            others, structure = _members_to_arrays(map_)
            if flow.tail is not None:
                arrays |= _by_path(flow.tail, "tail")
        case ConvexFlow(
            preprocessing=Preprocessing() as preprocessing,
            map=ConvexPotential(features=SeparableFeatures() as features) as potential,
            tail=None,
        ):
            arrays = _preprocessing_to_arrays(preprocessing)
            others, structure = _separable_to_arrays(features, potential.w)
        case ConvexFlow(
            preprocessing=Preprocessing() as preprocessing,
            map=Composition() as composition,
            tail=None,
        ):
            arrays = _preprocessing_to_arrays(preprocessing)
            others, structure = _composition_to_arrays(composition)
        case _:
            raise TypeError(f"Expected a flow that has a place in a file; got {flow}.")
    return _as_floats(arrays | others), structure


def flow_from_arrays(arrays: Arrays, structure: dict[str, Any]) -> ConvexFlow:
    """Return the flow that `flow_to_arrays` took apart."""
    preprocessing = Preprocessing(
        ColumnBounds(arrays["bounds.low"], arrays["bounds.high"]),
        Whitening(arrays["whitening.mean"], arrays["whitening.scale"], arrays["whitening.factor"]),
    )
    if "blocks" in structure:
        return ConvexFlow(preprocessing, _composition_from_arrays(arrays, structure))
    if "n_members" not in structure:
        features = _separable_from_arrays(arrays, structure)
        return ConvexFlow(preprocessing, ConvexPotential(features, arrays["w"]))
    scaling = ContextScaling(
        arrays["context.mean"],
        arrays["context.scale"],
        arrays["context.low"],
        arrays["context.high"],
    )
    conditional = ConditionalPreprocessing(preprocessing, scaling)
    members = tuple(
        ConvexPotential(
            ConditionalFeatures(_gated_from_arrays(arrays, f"{i}", structure), arrays[f"{i}.axes"]),
            arrays[f"{i}.w"],
        )
        for i in range(structure["n_members"])
    )
    tail = Tail(arrays["tail.h"]) if "tail.h" in arrays else None
    if structure.get("in_turn"):
        return ConvexFlow(conditional, Composition(members), tail)
    if "shares" in arrays:
        return ConvexFlow(conditional, SumPotential(members, arrays["shares"]), tail)
    return ConvexFlow(conditional, members[0], tail)


def _preprocessing_to_arrays(preprocessing: Preprocessing) -> dict[str, Array]:
    whitening, bounds = preprocessing.whitening, preprocessing.bounds
    return _by_path(bounds, "bounds") | _by_path(whitening, "whitening")


def _separable_to_arrays(
    features: SeparableFeatures, w: Array
) -> tuple[dict[str, Array], dict[str, Any]]:
    network, radial = _parts(features.network)
    arrays: dict[str, Array] = {"axes": features.axes, "w": w}
    for name, parts in (("K", network.K), ("b", network.b), ("L", network.L)):
        arrays |= {f"{name}.{i}": part for i, part in enumerate(parts)}
    if radial is not None:
        arrays |= {"cones.B": radial.B, "cones.e": radial.e}
    structure = {
        "activation": _name_of(network.activation, ACTIVATIONS),
        "nonnegativity": _name_of(network.nonnegativity, NONNEGATIVITY),
        "normalised": features.normalised,
        "n_layers": len(network.K),
    }
    return arrays, structure


def _separable_from_arrays(arrays: Arrays, structure: dict[str, Any]) -> SeparableFeatures:
    layers = range(structure["n_layers"])
    network = InputConvexNetwork(
        K=tuple(arrays[f"K.{i}"] for i in layers),
        b=tuple(arrays[f"b.{i}"] for i in layers),
        L=tuple(arrays[f"L.{i}"] for i in layers[:-1]),
        activation=ACTIVATIONS[structure["activation"]],
        nonnegativity=NONNEGATIVITY[structure["nonnegativity"]],
    )
    units: AbstractUnits = network
    if "cones.B" in arrays:
        units = ConcatenatedUnits((network, RadialUnits(arrays["cones.B"], arrays["cones.e"])))
    return SeparableFeatures(units, arrays["axes"], structure["normalised"])


def _composition_to_arrays(
    composition: Composition,
) -> tuple[dict[str, Array], dict[str, Any]]:
    arrays: dict[str, Array] = {}
    structures = []
    for b, block in enumerate(composition.chain):
        match block:
            case ConvexPotential(features=SeparableFeatures() as features):
                own, structure = _separable_to_arrays(features, block.w)
            case _:
                raise TypeError(f"Expected a composition of separable potentials; got {block}.")
        arrays |= {f"block{b}.{name}": array for name, array in own.items()}
        structures.append(structure)
    return arrays, {"blocks": structures}


def _composition_from_arrays(arrays: Arrays, structure: dict[str, Any]) -> Composition:
    blocks = []
    for b, own in enumerate(structure["blocks"]):
        prefix = f"block{b}."
        part = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        blocks.append(ConvexPotential(_separable_from_arrays(part, own), part["w"]))
    return Composition(tuple(blocks))


def _members_to_arrays(map_: AbstractMap) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the conditional potentials of a map, which are summed or applied in turn."""
    members = map_.blocks
    arrays: dict[str, Array] = {}
    if isinstance(map_, SumPotential):
        members, arrays = map_.members, {"shares": map_.shares}
    structure: dict[str, Any] = {"n_members": len(members)}
    if isinstance(map_, Composition):
        structure["in_turn"] = True
    for i, member in enumerate(members):
        match member:
            case ConvexPotential(features=ConditionalFeatures() as features):
                arrays |= _by_path(features.network, f"{i}")
                arrays |= {f"{i}.axes": features.axes, f"{i}.w": member.w}
                units = features.network.units
                structure |= {
                    "activation": _name_of(units.activation, ACTIVATIONS),
                    "n_layers": len(units.K),
                    "n_context_layers": len(units.context),
                }
            case _:
                raise TypeError(f"Expected a conditional potential; got {member}.")
    return arrays, structure


def _gated_from_arrays(arrays: Arrays, prefix: str, structure: dict[str, Any]) -> GatedNetwork:
    def affine(path: str) -> Affine:
        return Affine(arrays[f"{prefix}.{path}.W"], arrays[f"{prefix}.{path}.b"])

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


def gaussian_to_arrays(gaussian: AbstractGaussian) -> Arrays:
    """Return the baseline's arrays by name."""
    return {
        f"baseline.{field.name}": getattr(gaussian, field.name)
        for field in fields(cast(Any, gaussian))
    }


def gaussian_from_arrays(arrays: Arrays) -> AbstractGaussian:
    """Return the baseline that `gaussian_to_arrays` took apart."""
    kind = Gaussian if "baseline.linear" in arrays else ConditionalGaussian
    return kind(**{field.name: arrays[f"baseline.{field.name}"] for field in fields(kind)})


def _by_path(module: eqx.Module, prefix: str) -> dict[str, Array]:
    """Return a module's arrays, named by their places in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(module)
    return {
        f"{prefix}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for path, leaf in leaves
    }


def _as_floats(arrays: dict[str, Array]) -> Arrays:
    return {name: np.asarray(array, dtype=float) for name, array in arrays.items()}


def _parts(units: AbstractUnits) -> tuple[InputConvexNetwork, RadialUnits | None]:
    """Return the network, and the radial beside it if there are any."""
    match units.parts if isinstance(units, ConcatenatedUnits) else (units,):
        case (InputConvexNetwork() as network,):
            return network, None
        case (InputConvexNetwork() as network, RadialUnits() as radial):
            return network, radial
    raise TypeError(f"Expected a network, with radial beside it or without; got {units}.")


def _name_of(part: object, registry) -> str:
    return next(name for name, known in registry.items() if type(known) is type(part))
