"""A fitted estimator as what a model file holds; `brenier.estimators.rebuild` is the way back."""

from dataclasses import asdict
from os import PathLike
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Float

from brenier.estimators.constants import constants_to_file
from brenier.estimators.folded import folding_to_file, periods_to_file
from brenier.estimators.parameters import seed_of
from brenier.estimators.tables import column_names
from brenier.flow.column_order import context_scaling
from brenier.flow.flow import ConvexFlow
from brenier.flow.storage import flow_to_arrays, gaussian_to_arrays
from brenier.io.model_file import write_model
from brenier.training.likelihood import gaussian_log_density
from brenier.training.report import FitReport
from brenier.version import __version__

# Of more iterates than this a file keeps a part: its header has a limit.
MOST_ITERATES = 20_000
# Settings that are sequences of integers.
WIDTHS = ("widths", "context_widths")
# What a file calls the sketch of the rows that a model has seen, and its salt.
SKETCH, SALT = "sketch", "sketch_salt"
# What an estimator's columns are called in it, and in its file.
NAMES = (("feature_names_in_", "column_names"), ("target_names_", "target_names"))

Estimator = TypeVar("Estimator")
Arrays = dict[str, np.ndarray]


def save_estimator(estimator: Any, path: str | PathLike, *, with_probes: bool = True) -> None:
    """Write a fitted estimator to a model file, atomically."""
    write_model(path, *to_file(estimator, with_probes=with_probes))


def to_file(estimator: Any, *, with_probes: bool = True) -> tuple[dict[str, Any], Arrays]:
    """Return metadata and arrays of a fitted estimator of one flow; without probes, no rows."""
    arrays, structure = flow_to_arrays(estimator.flow_)
    more, more_arrays = estimator._more_to_file()
    arrays |= gaussian_to_arrays(estimator.baseline_) | more_arrays
    sketch, salt = estimator.sketch_, {}
    if sketch is not None:
        arrays |= {SKETCH: sketch.least, f"{SKETCH}.low": sketch.low, f"{SKETCH}.high": sketch.high}
        salt = {SALT: sketch.salt}
    probes = _probes(estimator.flow_) if with_probes else _no_probes(estimator.flow_)
    arrays |= {"probes": probes, "probe_log_density": _log_density(estimator, probes)}
    names = {key: names_in(estimator, attribute) for attribute, key in NAMES}
    metadata = {
        "kind": type(estimator).__name__,
        "brenier_version": __version__,
        "parameters": _parameters(estimator),
        "structure": structure,
        "report": _shortened(estimator.report_),
        **names,
        **more,
        **constants_to_file(estimator),
        **folding_to_file(estimator.folding_),
        **salt,
    }
    return metadata, arrays


def _log_density(estimator: Any, probes: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
    """Return log p of the probes; of the Gaussian by its formula, without compiling anything."""
    flow = estimator.flow_
    if len(probes) == 0:
        return np.zeros(0)
    if estimator.report_.is_gaussian and flow.tail is None:
        return gaussian_log_density(estimator.baseline_, flow.preprocessing, probes)
    return estimator._density(probes)


def parts_to_file(
    estimator: Any, flows: list[Any], *, with_probes: bool = True
) -> tuple[dict[str, Any], Arrays]:
    """Return what is common to the metadata of an estimator of several flows, and all arrays."""
    parts = [to_file(flow, with_probes=with_probes) for flow in flows]
    metadata = {
        "kind": type(estimator).__name__,
        "brenier_version": __version__,
        "column_names": names_in(estimator, "feature_names_in_"),
        "parts": [part for part, _ in parts],
        **constants_to_file(estimator),
    }
    arrays = {
        f"block{k}.{name}": array
        for k, (_, part) in enumerate(parts)
        for name, array in part.items()
    }
    return metadata, arrays


def _shortened(report: FitReport) -> dict[str, Any]:
    """Return a report as plain types; of very many iterates some, the best and the last too."""
    plain, n = report.to_dict(), len(report.history["iteration"])
    if n <= MOST_ITERATES:
        return plain
    best = {k for k in range(n) if report.history["iteration"][k] == report.best_iteration}
    kept = sorted({*range(0, n, -(-n // MOST_ITERATES)), *best, n - 1})
    history = {name: [values[k] for k in kept] for name, values in plain["history"].items()}
    return {**plain, "history": history}


def names_in(estimator: Any, attribute: str) -> list[str] | None:
    """Return an estimator's names of columns as texts; None where it has none."""
    names = getattr(estimator, attribute, None)
    return None if names is None else [str(name) for name in names]


def _parameters(estimator: Any) -> dict[str, Any]:
    """Return the settings as plain types."""
    parameters = estimator.get_params()
    parameters["random_state"] = seed_of(estimator.random_state)
    for name in WIDTHS:
        if parameters.get(name) is not None:
            parameters[name] = [int(width) for width in parameters[name]]
    if estimator.columns is not None:
        parameters["columns"] = list(estimator.columns)
    if estimator.algorithm is not None:
        parameters["algorithm"] = asdict(estimator.algorithm)
    if not estimator.folding_.is_plain:
        parameters |= _of_folding(estimator)
    if estimator.bounds is not None:
        bounds = estimator.flow_.preprocessing.column_bounds
        parameters["bounds"] = [
            [float(v) if np.isfinite(v) else None for v in pair]
            for pair in zip(bounds.low, bounds.high, strict=True)
        ]
    return parameters


def _of_folding(estimator: Any) -> dict[str, Any]:
    """Return the settings of periodic and discrete columns as plain types."""
    names, folding = column_names(estimator), estimator.folding_
    discrete = [names[c] for c in folding.cells.columns.tolist()]
    periods = periods_to_file(estimator.periods, folding, names)
    return {"periods": periods, "discrete": None if estimator.discrete is None else discrete}


def _probes(flow: ConvexFlow) -> Float[np.ndarray, "3 d"]:
    """Return three points of the data space whose log-densities pin the model down."""
    steps, preprocessing = np.array([0.0, 0.5, -0.5]), flow.preprocessing
    places, scaling = steps[:, None] * np.ones(flow.n), context_scaling(preprocessing)
    with jax.enable_x64(True):
        if scaling is None:
            return np.asarray(preprocessing.inverse(places))
        context = np.stack([scaling.typical(place) for place in steps.tolist()])
        scaled = np.asarray(preprocessing.context(context))
        rows = np.asarray(preprocessing.inverse(np.concatenate([places, scaled], axis=1)))
    return np.concatenate([rows, context], axis=1)


def _no_probes(flow: ConvexFlow) -> Float[np.ndarray, "0 d"]:
    """Return no points, with as many columns as the rows of a flow have."""
    return np.zeros((0, n_columns(flow)))


def n_columns(flow: ConvexFlow) -> int:
    """Return the number of columns of a flow's rows, those of the context among them."""
    scaling = context_scaling(flow.preprocessing)
    return flow.n + (0 if scaling is None else len(scaling.mean))
