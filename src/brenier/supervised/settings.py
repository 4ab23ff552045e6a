"""Every number of the recipe of regression and classification, in one place.

Each field says what it does and names its trial in `benchmarks/NOTES.md`.
"""

from dataclasses import dataclass, field
from typing import Any

NOT_TRIED = "not tried"


def _number(default: Any, what: str, trial: str = NOT_TRIED) -> Any:
    """Return a field: its default, what it does, its trial."""
    return field(default=default, metadata={"what": what, "trial": trial})


@dataclass(frozen=True)
class SupervisedSettings:
    """All numbers of a fit of a network to a table with targets."""

    widths: tuple[int, ...] = _number((16, 16), "widths of the tanh layers")
    initial_scale: float = _number(
        0.5, "size of initial weights, of those that keep variances at one"
    )
    farthest: float = _number(3.0, "deviations from the mean that inputs are cut off at")
    n_folds: int = _number(8, "networks; each holds out another of as many parts of the rows")
    prior_precision: float = _number(
        1.0, "precision of the weights' normal prior: the hidden layers' share of it"
    )
    prior_precision_last: float = _number(
        1.0, "precision of the weights' normal prior: the last layer's share of it"
    )
    most_decay: float = _number(1e-2, "largest weight of either penalty")
    update_every: int = _number(
        25, "iterations after which both penalties follow the held-out loss"
    )
    max_iter: int = _number(150, "most iterations of a network")
    patience: int = _number(50, "iterations without a better held-out loss that end a search")
    tol: float = _number(1e-6, "a run has converged where the gradient's largest entry is below")
    memory: int = _number(20, "correction pairs of L-BFGS")
    max_seconds: float | None = _number(None, "wall time of a fit")


NUMBERS = SupervisedSettings()
"""The recipe of regression."""
CLASSES = SupervisedSettings(prior_precision_last=0.3, update_every=20, max_iter=60)
"""The recipe of classification."""
