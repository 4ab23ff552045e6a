"""Reading of model files, with NumPy alone."""

from collections.abc import Callable, Mapping
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np

from brenier.io.model_file import ModelFileError, read_model
from brenier.scoring.activations import ACTIVATIONS
from brenier.scoring.conditional import Affine, Gated
from brenier.scoring.density import Chain, Conditional, Flow, Joint, Mixture
from brenier.scoring.potential import Network, Potential, Radial, Separable, Sum, Units
from brenier.scoring.preprocessing import (
    Bounds,
    Preprocessing,
    Scaling,
    Spread,
    Tail,
    Whitening,
)

Metadata = Mapping[str, Any]
Scored = Joint | Conditional | Mixture | Chain

# Relative agreement with the log-densities that are stored in a file.
PROBE_TOLERANCE = 1e-9


class _Arrays:
    """Arrays by name, below a prefix."""

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str = ""):
        self._arrays, self._prefix = arrays, prefix

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[self._prefix + name]

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._arrays

    def below(self, name: str) -> "_Arrays":
        """Return those whose names go on after this one and a dot."""
        return _Arrays(self._arrays, f"{self._prefix}{name}.")

    def several(self, name: str) -> list[np.ndarray]:
        """Return those that are counted: name.0, name.1, ..."""
        found: list[np.ndarray] = []
        while f"{name}.{len(found)}" in self:
            found.append(self[f"{name}.{len(found)}"])
        return found

    def affine(self, name: str) -> Affine:
        """Return an affine map."""
        return Affine(self[f"{name}.W"], self[f"{name}.b"])

    def affines(self, name: str) -> list[Affine]:
        """Return affine maps that are counted."""
        found: list[Affine] = []
        while f"{name}.{len(found)}.b" in self:
            found.append(self.affine(f"{name}.{len(found)}"))
        return found


def load(path: str | PathLike) -> Scored:
    """Return the density saved in a model file; no code in the file is run.

    Parameters
    ----------
    path : str or path
        A file that an estimator's `save` wrote.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, altered or foreign, of a kind that needs the estimators
        (`brenier.load`), or gives other log-densities here than where it was made.
    """
    metadata, arrays = read_model(path)
    kind = metadata.get("kind")
    if not isinstance(kind, str) or kind not in _READERS:
        raise ModelFileError(
            f"Expected one of {', '.join(_READERS)} in {path}; got {kind!r}, which is not scored "
            "without JAX. Load it with brenier.load."
        )
    if any("folding" in part for part in (metadata, *metadata.get("parts", ()))):
        raise ModelFileError(
            f"Expected a model without periodic and discrete columns in {path}; got one with some, "
            "which is not scored without JAX. Load it with brenier.load."
        )
    try:
        density = _READERS[kind](metadata, _Arrays(arrays))
        _check_probes(density, metadata, _Arrays(arrays), path)
    except (AttributeError, IndexError, KeyError, TypeError, np.linalg.LinAlgError) as error:
        raise ModelFileError(
            f"Expected a complete brenier model in {path}; got one that does not fit together "
            f"({error!r}). Fit again, or load it with the version that wrote it."
        ) from error
    return density


def _joint(metadata: Metadata, arrays: _Arrays) -> Joint:
    return Joint(_flow(metadata["structure"], arrays), metadata.get("column_names"))


def _conditional(metadata: Metadata, arrays: _Arrays) -> Conditional:
    names = metadata.get("column_names"), metadata.get("target_names")
    return Conditional(_flow(metadata["structure"], arrays), *names)


def _mixture(metadata: Metadata, arrays: _Arrays) -> Mixture:
    whole, own = _joint(metadata, arrays), arrays.below("mixture")
    parts = enumerate(metadata["components"])
    others = [_flow(structure, own.below(str(k))) for k, structure in parts]
    # Where the flow of the file is left out it has the weight zero.
    left_out = int(own["weights"][0] == 0.0)
    return Mixture(
        flows=[whole.flow, *others][left_out:],
        preprocessing=whole.flow.preprocessing,
        means=own["means"],
        factors=own["factors"],
        weights=own["weights"][left_out:],
        columns=whole.columns,
    )


def _chain(metadata: Metadata, arrays: _Arrays) -> Chain:
    parts = enumerate(metadata["parts"])
    flows = [_flow(part["structure"], arrays.below(f"block{k}")) for k, part in parts]
    placed = [name for block in metadata["blocks"] for name in block]
    columns = metadata.get("column_names")
    names = columns or [f"x{i}" for i in range(len(placed))]
    return Chain(flows, np.array([names.index(name) for name in placed]), columns)


_READERS: Mapping[str, Callable[[Metadata, _Arrays], Scored]] = MappingProxyType(
    {
        "ConvexPotentialFlow": _joint,
        "ConvexPotentialMixture": _mixture,
        "ConditionalConvexPotentialFlow": _conditional,
        "ConvexPotentialRegressor": _conditional,
        "TriangularConvexPotentialFlow": _chain,
    }
)


def _check_probes(density: Scored, metadata: Metadata, arrays: _Arrays, path: Any) -> None:
    """Raise unless the rows stored in a file have the log-densities stored with them."""
    match density:
        case Chain(flows=flows):
            pairs = [(flow, arrays.below(f"block{k}")) for k, flow in enumerate(flows)]
        case Mixture():
            pairs = [(density, arrays)]
        case Joint(flow=flow) | Conditional(flow=flow):
            pairs = [(flow, arrays)]
    for scored, own in pairs:
        expected = own["probe_log_density"]
        got = scored.log_density(own["probes"])
        if not np.allclose(got, expected, rtol=PROBE_TOLERANCE, atol=PROBE_TOLERANCE):
            raise ModelFileError(
                f"Expected the model in {path} to give the log-densities stored with it, "
                f"{expected}; got {got}. This machine computes something else: do not use it here."
            )


def _flow(structure: Metadata, arrays: _Arrays) -> Flow:
    map_ = structure["map"]
    is_composed = map_["kind"] == "composition"
    maps = map_["maps"] if is_composed else [map_]
    paths = [f"map.{i}" for i in range(len(maps))] if is_composed else ["map"]
    potentials = [_potential(part, arrays.below(at)) for part, at in zip(maps, paths, strict=True)]
    return Flow(_preprocessing(structure, arrays), potentials, _tail(arrays, "tail.h"))


def _tail(arrays: _Arrays, name: str) -> Tail | None:
    return Tail(float(arrays[name])) if name in arrays else None


def _preprocessing(structure: Metadata, arrays: _Arrays) -> Preprocessing:
    n = len(arrays["whitening.mean"])
    scaling = _scaling(arrays.below("context"), arrays) if "context.mean" in arrays else None
    q = 0 if scaling is None else len(scaling.mean)
    # Older files say nothing of the probit, nor of orders.
    probit = bool(structure.get("probit", False))
    own = arrays.below("whitening")
    return Preprocessing(
        bounds=Bounds(arrays["bounds.low"], arrays["bounds.high"], probit),
        whitening=Whitening(own["mean"], own["scale"], own["factor"]),
        far=_tail(arrays, "far.h"),
        scaling=scaling,
        spread=_spread(arrays.below("spread")) if "spread.location" in arrays else None,
        order=np.array(structure.get("order", range(n)), dtype=int),
        context_order=np.array(structure.get("context_order", range(q)), dtype=int),
    )


def _scaling(own: _Arrays, arrays: _Arrays) -> Scaling:
    curve = None
    if "curve.sign" in arrays:
        curve = arrays["curve.sign"], arrays["curve.values"], arrays["curve.scores"]
    return Scaling(own["mean"], own["scale"], own["low"], own["high"], curve)


def _spread(own: _Arrays) -> Spread:
    return Spread(own["location"], own["log_scale"])


def _potential(structure: Metadata, arrays: _Arrays) -> Potential:
    if structure["kind"] == "sum":
        parts = enumerate(structure["members"])
        members = [_potential(part, arrays.below(str(k))) for k, part in parts]
        return Sum(members, arrays["shares"])
    features = structure["features"]
    return (_gated if features["kind"] == "conditional" else _separable)(features, arrays)


def _separable(structure: Metadata, arrays: _Arrays) -> Separable:
    L = arrays.several("L")
    if structure["nonnegativity"] == "softplus":
        L = [np.logaddexp(0.0, raw) for raw in L]
    activation = ACTIVATIONS[structure["activation"]]
    units: list[Units] = [Network(arrays.several("K"), arrays.several("b"), L, activation)]
    if structure["radial"]:
        units.append(Radial(arrays["radial.B"], arrays["radial.e"]))
    return Separable(units, arrays["axes"], arrays["w"], bool(structure["normalised"]))


def _gated(structure: Metadata, arrays: _Arrays) -> Gated:
    units = arrays.below("units")
    return Gated(
        context=units.affines("context"),
        shift=units.affine("shift"),
        S=units["S"],
        K=units.several("K"),
        bias=units.affines("bias"),
        L=units.several("L"),
        gate=units.affines("gate"),
        unit_gates=arrays.affine("unit_gates"),
        quadratic_gates=arrays.affine("quadratic_gates"),
        axes=arrays["axes"],
        w=arrays["w"],
        activation=ACTIVATIONS[structure["activation"]],
    )
