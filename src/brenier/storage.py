"""A fitted flow as named arrays and plain metadata, and back: what a model file holds."""

from typing import Any

import numpy as np

from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds, Preprocessing, Whitening
from brenier.outer.gaussian import Gaussian
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.cones import Cones
from brenier.potential.head import ConvexPotential, SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.units import AbstractUnits, SideBySide

Arrays = dict[str, np.ndarray]


def flow_to_arrays(flow: ConvexFlow) -> tuple[Arrays, dict[str, Any]]:
    """Return a flow's arrays by name, and what else it takes to rebuild it."""
    features = flow.potential.features
    network, cones = _parts(features.network)
    whitening, bounds = flow.preprocessing.whitening, flow.preprocessing.bounds
    arrays = {
        "bounds.low": bounds.low,
        "bounds.high": bounds.high,
        "whitening.mean": whitening.mean,
        "whitening.scale": whitening.scale,
        "whitening.factor": whitening.factor,
        "axes": features.axes,
        "w": flow.potential.w,
    }
    for name, parts in (("K", network.K), ("b", network.b), ("L", network.L)):
        arrays |= {f"{name}.{i}": part for i, part in enumerate(parts)}
    if cones is not None:
        arrays |= {"cones.B": cones.B, "cones.e": cones.e}
    structure = {
        "activation": _name_of(network.activation, ACTIVATIONS),
        "nonnegativity": _name_of(network.nonnegativity, NONNEGATIVITY),
        "normalised": features.normalised,
        "n_layers": len(network.K),
    }
    return {name: np.asarray(array, dtype=float) for name, array in arrays.items()}, structure


def flow_from_arrays(arrays: Arrays, structure: dict[str, Any]) -> ConvexFlow:
    """Return the flow that `flow_to_arrays` took apart."""
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
        units = SideBySide((network, Cones(arrays["cones.B"], arrays["cones.e"])))
    features = SeparableFeatures(units, arrays["axes"], structure["normalised"])
    preprocessing = Preprocessing(
        ColumnBounds(arrays["bounds.low"], arrays["bounds.high"]),
        Whitening(arrays["whitening.mean"], arrays["whitening.scale"], arrays["whitening.factor"]),
    )
    return ConvexFlow(preprocessing, ConvexPotential(features, arrays["w"]))


def gaussian_to_arrays(gaussian: Gaussian) -> Arrays:
    """Return the baseline's arrays by name."""
    return {
        "baseline.axes": gaussian.axes,
        "baseline.sd": gaussian.sd,
        "baseline.linear": gaussian.linear,
    }


def gaussian_from_arrays(arrays: Arrays) -> Gaussian:
    """Return the baseline that `gaussian_to_arrays` took apart."""
    return Gaussian(arrays["baseline.axes"], arrays["baseline.sd"], arrays["baseline.linear"])


def _parts(units: AbstractUnits) -> tuple[InputConvexNetwork, Cones | None]:
    """Return the network, and the cones beside it if there are any."""
    match units.parts if isinstance(units, SideBySide) else (units,):
        case (InputConvexNetwork() as network,):
            return network, None
        case (InputConvexNetwork() as network, Cones() as cones):
            return network, cones
    raise TypeError(f"Expected a network, with cones beside it or without; got {units}.")


def _name_of(part: object, registry) -> str:
    return next(name for name, known in registry.items() if type(known) is type(part))
