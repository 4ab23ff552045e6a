"""What a checkpoint says of a fit, by which another table or other settings are known."""

from typing import Any

import numpy as np

from brenier.estimators.observations import Observations
from brenier.training.checkpoint import digest

# Settings that change nothing of what a fit has done so far, and one that is told as a number.
OTHERS = ("verbose", "max_seconds", "random_state")


def about_fit(
    estimator: Any, observations: Observations, heldout: Observations | None, seed: int
) -> dict[str, str]:
    """Return what a fit is of and how it is made, in words by name."""
    rows = observations.rows
    parameters = estimator.get_params(deep=False)
    return {
        "kind": type(estimator).__name__,
        "rows": str(len(rows)),
        "columns": ", ".join(map(repr, observations.names)),
        "table": _table(observations),
        "validation": "none" if heldout is None else _table(heldout),
        "random_state": str(seed),
        **{name: repr(parameters[name]) for name in sorted(parameters) if name not in OTHERS},
    }


def _table(observations: Observations) -> str:
    """Return what rows, their weights and chains are known by."""
    more = [] if observations.weights is None else [observations.weights]
    if observations.groups is not None:
        more.append(np.unique(observations.groups, return_inverse=True)[1])
    return digest(observations.rows, *more)
