"""Loading of model files."""

from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType
from typing import Any

from brenier.estimators.conditional import ConditionalConvexPotentialFlow
from brenier.estimators.files import from_file
from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.regressor import ConvexPotentialRegressor
from brenier.persistence import ModelFileError, read_model

KINDS: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (ConvexPotentialFlow, ConditionalConvexPotentialFlow, ConvexPotentialRegressor)
    }
)
"""The estimators by the names that files call them."""


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
    name = metadata.get("estimator")
    if not isinstance(name, str) or name not in KINDS:
        raise ModelFileError(
            f"Expected a {', '.join(KINDS)} in {path}; got {name!r}, which this version of brenier "
            "does not know. Upgrade brenier, or fit again."
        )
    return from_file(KINDS[name], metadata, arrays, path=path)
