"""A fitted estimator as what a model file holds, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Float

from brenier.estimators.common import seed_of
from brenier.flow.column_order import context_scaling
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.storage import (
    flow_from_arrays,
    flow_to_arrays,
    gaussian_from_arrays,
    gaussian_to_arrays,
)
from brenier.io.model_file import ModelFileError, write_model
from brenier.training.algorithm import Algorithm
from brenier.training.likelihood import gaussian_log_density
from brenier.training.report import FitReport
from brenier.version import __version__

# Relative agreement of the probes' log-densities when a model is loaded on another machine.
PROBE_TOLERANCE = 1e-9
# Settings that are sequences of integers.
WIDTHS = ("widths", "context_widths")
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
    arrays |= gaussian_to_arrays(estimator.baseline_)
    probes = _probes(estimator.flow_) if with_probes else _no_probes(estimator.flow_)
    arrays |= {"probes": probes, "probe_log_density": _log_density(estimator, probes)}
    names = {key: names_in(estimator, attribute) for attribute, key in NAMES}
    metadata = {
        "kind": type(estimator).__name__,
        "brenier_version": __version__,
        "parameters": _parameters(estimator),
        "structure": structure,
        "report": estimator.report_.to_dict(),
        **names,
    }
    return metadata, arrays


def from_file(
    kind: type[Estimator], metadata: Mapping[str, Any], arrays: Arrays, *, path: str | PathLike
) -> Estimator:
    """Return the estimator of a model file, its probes re-checked."""
    try:
        structure = metadata["structure"]
        estimator: Any = kind(**_settings(metadata["parameters"]))
        flow = flow_from_arrays(arrays, structure)
        estimator.flow_ = flow
        estimator.baseline_ = gaussian_from_arrays(arrays, structure["kind"])
        estimator.report_ = FitReport.from_dict(metadata["report"])
        expected = arrays["probe_log_density"]
        got = in_batches(log_density, flow, arrays["probes"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"Expected a complete brenier model in {path}; got one that does not fit together "
            f"({error}). Fit again, or load it with the version that wrote it."
        ) from error
    if not np.allclose(got, expected, rtol=PROBE_TOLERANCE, atol=PROBE_TOLERANCE):
        raise ModelFileError(
            f"Expected the model in {path} to give the log-densities stored with it, {expected}; "
            f"got {got}. This machine or its libraries compute something else: do not use it here."
        )
    scaling = context_scaling(flow.preprocessing)
    estimator.n_features_in_ = flow.n if scaling is None else len(scaling.mean)
    estimator.n_iter_ = estimator.report_.n_iter
    for attribute, key in NAMES:
        if metadata.get(key) is not None:
            setattr(estimator, attribute, np.array(metadata[key], dtype=object))
    return estimator


def _log_density(estimator: Any, probes: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
    """Return log p of the probes; of the Gaussian by its formula, without compiling anything."""
    flow = estimator.flow_
    if len(probes) == 0:
        return np.zeros(0)
    if estimator.report_.is_gaussian and flow.tail is None:
        return gaussian_log_density(estimator.baseline_, flow.preprocessing, probes)
    return in_batches(log_density, flow, probes)


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
    }
    arrays = {
        f"block{k}.{name}": array
        for k, (_, part) in enumerate(parts)
        for name, array in part.items()
    }
    return metadata, arrays


def part_arrays(arrays: Arrays, k: int) -> Arrays:
    """Return the arrays of one of the flows in a file of several."""
    prefix = f"block{k}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


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
    if estimator.algorithm is not None:
        parameters["algorithm"] = asdict(estimator.algorithm)
    if estimator.bounds is not None:
        bounds = estimator.flow_.preprocessing.column_bounds
        parameters["bounds"] = [
            [float(v) if np.isfinite(v) else None for v in pair]
            for pair in zip(bounds.low, bounds.high, strict=True)
        ]
    return parameters


def _settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that `_parameters` made plain."""
    settings = dict(parameters)
    for name in WIDTHS:
        if settings.get(name) is not None:
            settings[name] = tuple(settings[name])
    if settings["algorithm"] is not None:
        settings["algorithm"] = Algorithm(**settings["algorithm"])
    if settings["bounds"] is not None:
        settings["bounds"] = [tuple(pair) for pair in settings["bounds"]]
    return settings


def _probes(flow: ConvexFlow) -> Float[np.ndarray, "3 d"]:
    """Return three points of the data space whose log-densities pin the model down."""
    steps, preprocessing = np.array([[0.0], [0.5], [-0.5]]), flow.preprocessing
    with jax.enable_x64(True):
        rows = np.asarray(preprocessing.inverse(steps * np.ones(flow.n)))
    scaling = context_scaling(preprocessing)
    if scaling is not None:
        spread = np.where(np.isfinite(scaling.scale), scaling.scale, 0.0)
        rows = np.concatenate([rows, scaling.mean + steps * spread], axis=1)
    return rows


def _no_probes(flow: ConvexFlow) -> Float[np.ndarray, "0 d"]:
    """Return no points, with as many columns as the rows of a flow have."""
    scaling = context_scaling(flow.preprocessing)
    return np.zeros((0, flow.n + (0 if scaling is None else len(scaling.mean))))
