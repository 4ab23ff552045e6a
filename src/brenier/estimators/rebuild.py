"""An estimator from what a model file holds, checked: what is loaded works.

A file may have been altered and its checksum made right again. So nothing in it is believed that
the code relies on: which arrays there are and their shapes, settings, report, names.
"""

from collections.abc import Mapping
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import column_bounds
from brenier.data.names import checked_columns, checked_names
from brenier.data.sketch import KEPT, LARGEST_SALT, Sketch
from brenier.estimators.abstract_conditional import AbstractConditional
from brenier.estimators.files import NAMES, SALT, SKETCH, WIDTHS, Arrays, n_columns
from brenier.estimators.folded import folding_from_file
from brenier.estimators.parameters import settings_of
from brenier.estimators.tables import column_names
from brenier.flow.rebuild import entry, is_conditional, take_flow, take_gaussian
from brenier.flow.shelf import NONNEGATIVE, NUMBERS, Shelf
from brenier.io.model_file import ModelFileError
from brenier.training.algorithm import Algorithm
from brenier.training.stored_report import MALFORMED, stored_report

# Relative agreement of the probes' log-densities when a model is loaded on another machine.
PROBE_TOLERANCE = 1e-9
Estimator = TypeVar("Estimator")


def from_file(
    kind: type[Estimator], metadata: Mapping[str, Any], arrays: Arrays, *, path: str | PathLike
) -> Estimator:
    """Return the estimator of a model file, its probes re-checked."""
    try:
        estimator, probes, expected = _rebuilt(kind, metadata, arrays)
        got = estimator._density(probes)
    except MALFORMED as error:
        raise unfit(path, error) from error
    if not np.allclose(got, expected, rtol=PROBE_TOLERANCE, atol=PROBE_TOLERANCE):
        raise ModelFileError(
            f"Expected the model in {path} to give the log-densities stored with it, {expected}; "
            f"got {got}. This machine or its libraries compute something else: do not use it here."
        )
    return estimator


def unfit(path: str | PathLike, error: BaseException) -> ModelFileError:
    """Return the error for a file whose content is no model's."""
    return ModelFileError(
        f"Expected a complete brenier model in {path}; got one that does not fit together "
        f"({error}). Fit again, or load it with the version that wrote it."
    )


def part_arrays(arrays: Arrays, k: int) -> Arrays:
    """Return the arrays of one of the flows in a file of several."""
    prefix = f"block{k}."
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _rebuilt(
    kind: type[Any], metadata: Mapping[str, Any], arrays: Arrays
) -> tuple[Any, Float[np.ndarray, "N d"], Float[np.ndarray, " N"]]:
    """Return the estimator of a file, and its probes with their log-densities."""
    conditional = issubclass(kind, AbstractConditional)
    entry(metadata, "brenier_version", str)
    structure = entry(metadata, "structure", Mapping)
    if is_conditional(structure) != conditional:
        raise ValueError(f"Expected the flow of a {kind.__name__}; got {structure['kind']!r}.")
    shelf = Shelf(arrays)
    estimator = kind(**_settings(entry(metadata, "parameters", Mapping)))
    estimator.flow_ = flow = take_flow(shelf, structure)
    estimator.baseline_ = take_gaussian(shelf, flow)
    estimator._take_more(metadata, shelf)
    estimator.folding_ = folding_from_file(metadata, flow.n)
    n_probes, d = shelf.length("probes", least=0), n_columns(flow)
    estimator.sketch_ = _sketch(metadata, shelf, d)
    probes = shelf.take("probes", n_probes, d)
    expected = shelf.take("probe_log_density", n_probes, law=NUMBERS)
    shelf.end()
    estimator.report_ = stored_report(metadata.get("report"))
    estimator.n_iter_ = max(1, estimator.report_.n_iter)
    estimator.n_features_in_ = d - flow.n if conditional else d
    _name_columns(estimator, metadata, conditional=conditional)
    _check_settings(estimator, conditional=conditional)
    return estimator, probes, expected


def _sketch(metadata: Mapping[str, Any], shelf: Shelf, d: int) -> Sketch | None:
    """Return the sketch of the rows of d cells that a model has seen; None of older files."""
    if SKETCH not in shelf:
        return None
    least = shelf.take(SKETCH, shelf.length(SKETCH), law=NONNEGATIVE)
    low, high = (shelf.take(f"{SKETCH}.{end}", d) for end in ("low", "high"))
    salt = entry(metadata, SALT, int)
    ascend = bool((np.diff(least) > 0).all() and (low <= high).all())
    if len(least) > KEPT or not ascend or not 0 <= salt <= LARGEST_SALT:
        raise ValueError("Expected a sketch of rows and its salt; got another.")
    return Sketch(least, salt, low, high)


def _name_columns(estimator: Any, metadata: Mapping[str, Any], *, conditional: bool) -> None:
    """Give an estimator the names of its columns; a conditional density has those of targets."""
    lengths = (estimator.n_features_in_, estimator.flow_.n)
    for (attribute, key), length in zip(NAMES, lengths, strict=True):
        names = checked_names(metadata, key, length, different=key == "column_names")
        if names is not None:
            setattr(estimator, attribute, np.array(names, dtype=object))
    targets = metadata["target_names"]
    if conditional == (targets is None):
        raise ValueError(f"Expected names of targets given a context only; got {targets!r:.80}.")


def _check_settings(estimator: Any, *, conditional: bool) -> None:
    """Raise `ValueError` unless the settings are such as the estimator may have."""
    estimator._validate_params()
    checked_columns(estimator.columns)
    settings_of(estimator, conditional=conditional)
    names = list(estimator.target_names_) if conditional else column_names(estimator)
    own = estimator.flow_.preprocessing.column_bounds
    if not np.array_equal(column_bounds(estimator.bounds, names), [own.low, own.high]):
        raise ValueError(f"Expected the bounds of the flow; got {estimator.bounds!r:.80}.")


def _settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that `brenier.estimators.files` made plain."""
    settings = dict(parameters)
    for name in WIDTHS:
        if settings.get(name) is not None:
            settings[name] = tuple(settings[name])
    if settings.get("algorithm") is not None:
        settings["algorithm"] = Algorithm(**settings["algorithm"])
    if settings["bounds"] is not None:
        settings["bounds"] = [tuple(pair) for pair in settings["bounds"]]
    return settings
