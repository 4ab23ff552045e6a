"""Loading of model files."""

from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from brenier.data.names import checked_columns, checked_names, default_names
from brenier.estimators.conditional import ConditionalConvexPotentialFlow
from brenier.estimators.conditional_mixture import ConditionalConvexPotentialMixture
from brenier.estimators.constants import constants_from_file, remember
from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.mixture import ConvexPotentialMixture
from brenier.estimators.rebuild import from_file, part_arrays, unfit
from brenier.estimators.regressor import ConvexPotentialRegressor
from brenier.estimators.tables import column_names
from brenier.estimators.triangular import TriangularConvexPotentialFlow
from brenier.flow.rebuild import entry
from brenier.io.model_file import ModelFileError, read_model
from brenier.training.stored_report import MALFORMED

KINDS: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            ConvexPotentialFlow,
            ConvexPotentialMixture,
            ConditionalConvexPotentialFlow,
            ConditionalConvexPotentialMixture,
            ConvexPotentialRegressor,
        )
    }
)
"""The estimators whose file is one flow's, with more in it or not, by its kind."""


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
    try:
        constants = constants_from_file(metadata)
    except ValueError as error:
        raise unfit(path, error) from error
    if metadata.get("kind") == TriangularConvexPotentialFlow.__name__:
        estimator = _triangular(metadata, arrays, path)
    else:
        estimator = _single(metadata, arrays, path)
    remember(estimator, constants)
    return estimator


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
        blocks, names = _blocks(metadata)
        seed, parts = entry(metadata, "random_state", int), _parts(metadata, len(blocks))
        check_random_state(seed)
        columns = checked_columns(metadata.get("columns"))
        _check_owners(arrays, len(parts))
    except MALFORMED as error:
        raise unfit(path, error) from error
    estimator = TriangularConvexPotentialFlow(blocks, columns=columns, random_state=seed)
    estimator.flows_ = [_single(part, part_arrays(arrays, k), path) for k, part in enumerate(parts)]
    estimator.blocks_ = blocks
    estimator.n_features_in_ = sum(len(block) for block in blocks)
    estimator.leading, *following = estimator.flows_
    estimator.following = following[0] if following else None
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    try:
        _check_blocks(estimator)
    except ValueError as error:
        raise unfit(path, error) from error
    return estimator


def _blocks(metadata: Mapping[str, Any]) -> tuple[list[list[str]], list[str] | None]:
    """Return the columns of every block, and those of the table in its order if it had names."""
    blocks = entry(metadata, "blocks", list)
    if not blocks or not all(isinstance(block, list) and block for block in blocks):
        raise ValueError(f"Expected blocks of columns; got {blocks!r:.80}.")
    placed = [name for block in blocks for name in block]
    checked_names({"blocks": placed}, "blocks", len(placed))
    names = checked_names(metadata, "column_names", len(placed))
    entry(metadata, "brenier_version", str)
    if sorted(placed) != sorted(names or default_names(len(placed))):
        raise ValueError(f"Expected every column in a block; got {blocks!r:.80}.")
    return blocks, names


def _parts(metadata: Mapping[str, Any], n: int) -> list[Mapping[str, Any]]:
    """Return the metadata of n flows, the first of which has no context."""
    parts = entry(metadata, "parts", list)
    kinds = [part.get("kind") for part in parts]
    following = ConditionalConvexPotentialFlow.__name__
    if kinds != [ConvexPotentialFlow.__name__, *[following] * (n - 1)]:
        raise ValueError(f"Expected a flow of each of {n} blocks; got {kinds!r:.80}.")
    return parts


def _check_owners(arrays: Mapping[str, np.ndarray], n: int) -> None:
    known = tuple(f"block{k}." for k in range(n))
    if other := [name for name in arrays if not name.startswith(known)]:
        raise ValueError(f"Expected arrays of {n} blocks only; got {', '.join(other):.80}.")


def _check_blocks(estimator: TriangularConvexPotentialFlow) -> None:
    """Raise `ValueError` unless every flow is of its block given those before."""
    before: list[str] = []
    for flow, block in zip(estimator.flows_, estimator.blocks_, strict=True):
        targets = list(flow.target_names_) if before else block
        if not (_are(column_names(flow), before or block) and _are(targets, block)):
            raise ValueError(f"Expected the flow of {block}, given {before}; got another.")
        before = [*before, *block]


def _are(names: list[str], expected: list[str]) -> bool:
    """Whether names are those expected; polars gives one to a column whose name is empty."""
    pairs = zip(names, expected, strict=False)
    return len(names) == len(expected) and all(b in (a, "") for a, b in pairs)
