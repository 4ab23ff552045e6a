"""A fitted estimator as what a model file holds, and back."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Float

from brenier.estimators.common import seed_of
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ConditionalPreprocessing
from brenier.flow.storage import (
    flow_from_arrays,
    flow_to_arrays,
    gaussian_from_arrays,
    gaussian_to_arrays,
)
from brenier.io.model_file import ModelFileError
from brenier.training.report import FitReport
from brenier.version import __version__

# Relative agreement of the probes' log-densities when a model is loaded on another machine.
PROBE_TOLERANCE = 1e-9
# What files do not speak of that are older than the setting.
SINCE = {"ConvexPotentialFlow": {"n_radial": 0, "noise": 0.0}}

Estimator = TypeVar("Estimator")


def to_file(estimator: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return metadata and arrays of a fitted estimator."""
    arrays, structure = flow_to_arrays(estimator.flow_)
    arrays |= gaussian_to_arrays(estimator.baseline_)
    probes = _probes(estimator.flow_)
    arrays |= {
        "probes": probes,
        "probe_log_density": in_batches(log_density, estimator.flow_, probes),
    }
    parameters = estimator.get_params()
    parameters["random_state"] = seed_of(estimator.random_state)
    for name in ("widths", "context_widths"):
        if name in parameters:
            parameters[name] = [int(width) for width in parameters[name]]
    bounds = estimator.flow_.preprocessing.column_bounds
    parameters["bounds"] = (
        None
        if estimator.bounds is None
        else [
            [float(v) if np.isfinite(v) else None for v in pair]
            for pair in zip(bounds.low, bounds.high, strict=True)
        ]
    )
    metadata = {
        "estimator": type(estimator).__name__,
        "brenier_version": __version__,
        "parameters": parameters,
        "column_names": _texts(estimator, "feature_names_in_"),
        "structure": structure,
        "report": estimator.report_.to_dict(),
    }
    if hasattr(estimator, "target_names_"):
        metadata["target_names"] = _texts(estimator, "target_names_")
    return metadata, arrays


def from_file(
    kind: type[Estimator],
    metadata: Mapping[str, Any],
    arrays: dict[str, np.ndarray],
    *,
    path: str | PathLike,
) -> Estimator:
    """Return the estimator of a model file, its probes re-checked."""
    try:
        parameters = SINCE.get(kind.__name__, {}) | metadata["parameters"]
        for name in ("widths", "context_widths"):
            if name in parameters:
                parameters[name] = tuple(parameters[name])
        if parameters["bounds"] is not None:
            parameters["bounds"] = [tuple(pair) for pair in parameters["bounds"]]
        estimator: Any = kind(**parameters)
        flow = flow_from_arrays(arrays, metadata["structure"])
        estimator.flow_ = flow
        estimator.baseline_ = gaussian_from_arrays(arrays)
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
    preprocessing = flow.preprocessing
    conditional = isinstance(preprocessing, ConditionalPreprocessing)
    estimator.n_features_in_ = len(preprocessing.scaling.mean) if conditional else flow.n
    estimator.n_iter_ = estimator.report_.n_iter
    for attribute, key in (
        ("feature_names_in_", "column_names"),
        ("target_names_", "target_names"),
    ):
        if metadata.get(key) is not None:
            setattr(estimator, attribute, np.array(metadata[key], dtype=object))
    return estimator


def blocks_to_file(estimator: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return metadata and arrays of a fitted estimator that consists of others, `flows_`."""
    parts = [to_file(flow) for flow in estimator.flows_]
    metadata = {
        "estimator": type(estimator).__name__,
        "brenier_version": __version__,
        "random_state": seed_of(estimator.random_state),
        "column_names": _texts(estimator, "feature_names_in_"),
        "blocks": estimator.blocks_,
        "parts": [part for part, _ in parts],
    }
    arrays = {
        f"block{k}.{name}": array
        for k, (_, part) in enumerate(parts)
        for name, array in part.items()
    }
    return metadata, arrays


def part_arrays(arrays: dict[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """Return the arrays of one of the estimators in a file of several."""
    prefix = f"block{k}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _texts(estimator: Any, attribute: str) -> list[str] | None:
    names = getattr(estimator, attribute, None)
    return None if names is None else [str(name) for name in names]


def _probes(flow: ConvexFlow) -> Float[np.ndarray, "3 d"]:
    """Return three points of the data space whose log-densities pin the model down."""
    steps, preprocessing = np.array([[0.0], [0.5], [-0.5]]), flow.preprocessing
    with jax.enable_x64(True):
        rows = np.asarray(preprocessing.inverse(steps * np.ones(flow.n)))
    if isinstance(preprocessing, ConditionalPreprocessing):
        scaling = preprocessing.scaling
        spread = np.where(np.isfinite(scaling.scale), scaling.scale, 0.0)
        rows = np.concatenate([rows, scaling.mean + steps * spread], axis=1)
    return rows
