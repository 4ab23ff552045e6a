"""Loading of model files."""

from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np

from brenier.estimators.conditional import ConditionalConvexPotentialFlow
from brenier.estimators.files import from_file, part_arrays
from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.regressor import ConvexPotentialRegressor
from brenier.estimators.triangular import TriangularConvexPotentialFlow
from brenier.io.model_file import ModelFileError, read_model

KINDS: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (ConvexPotentialFlow, ConditionalConvexPotentialFlow, ConvexPotentialRegressor)
    }
)
"""The estimators of one flow by the kinds of their files."""


def load(path: str | PathLike) -> Any:
    """Return the estimator saved in a model file; no code in the file is run.

    Parameters
    ----------
    path : str or path
        A file that an estimator's `save` wrote.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, altered, foreign, of a newer format, or gives other
        log-densities here than where it was made.
    """
    metadata, arrays = read_model(path)
    if metadata.get("kind") == TriangularConvexPotentialFlow.__name__:
        return _triangular(metadata, arrays, path)
    return _single(metadata, arrays, path)


def _single(metadata: Mapping[str, Any], arrays: dict[str, np.ndarray], path: Any) -> Any:
    kind = metadata.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelFileError(
            f"Expected a {', '.join(KINDS)} in {path}; got {kind!r}, which this version of brenier "
            "does not know. Upgrade brenier, or fit again."
        )
    return from_file(KINDS[kind], metadata, arrays, path=path)


def _triangular(
    metadata: Mapping[str, Any], arrays: dict[str, np.ndarray], path: Any
) -> TriangularConvexPotentialFlow:
    try:
        parts, blocks, names = metadata["parts"], metadata["blocks"], metadata["column_names"]
        estimator = TriangularConvexPotentialFlow(blocks, random_state=metadata["random_state"])
    except KeyError as error:
        raise ModelFileError(
            f"Expected a complete brenier model in {path}; got one without its {error}. Fit again."
        ) from error
    estimator.flows_ = [_single(part, part_arrays(arrays, k), path) for k, part in enumerate(parts)]
    estimator.blocks_ = blocks
    estimator.n_features_in_ = sum(len(block) for block in blocks)
    estimator.leading, *following = estimator.flows_
    estimator.following = following[0] if following else None
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return estimator
