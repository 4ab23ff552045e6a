"""Every number of the recipe of regression and classification, in one place.

Each field says what it does and names its trial in `benchmarks/NOTES.md`.
"""

from dataclasses import dataclass, field
from typing import Any

NOT_TRIED = "not tried"
TRIAL = "Regression and classification"


def number(default: Any, what: str, trial: str = NOT_TRIED) -> Any:
    """Return a field: its default, what it does, its trial."""
    return field(default=default, metadata={"what": what, "trial": trial})


@dataclass(frozen=True)
class SupervisedSettings:
    """All numbers of a fit of a network to a table with targets."""

    widths: tuple[int, ...] = number((16, 16), "widths of the tanh layers", TRIAL)
    initial_scale: float = number(
        1.0, "size of initial weights, of those that keep variances at one", TRIAL
    )
    linear: bool = number(
        default=True,
        what="whether outputs are linear in the inputs, too, or in the last units alone",
        trial=TRIAL,
    )
    farthest: float = number(3.0, "deviations from the mean that inputs are cut off at", TRIAL)
    ranked_from: float = number(
        4.0, "deviations beyond which a value makes its column seen by its ranks, too", TRIAL
    )
    n_folds: int = number(
        12, "networks; each holds out another of as many parts of the rows", TRIAL
    )
    precision: float = number(3.0, "precision of the hidden weights' normal prior", TRIAL)
    precision_last: float = number(0.3, "precision of the last layer's normal prior", TRIAL)
    most_decay: float = number(1e-2, "largest weight of either penalty", TRIAL)
    least_unexplained: float = number(
        1e-12, "least share of the loss that is taken for unexplained: rounding"
    )
    update_every: int = number(
        25, "iterations after which both penalties follow the held-out loss", TRIAL
    )
    max_iter: int = number(250, "most iterations of a network", TRIAL)
    patience: int = number(
        40, "iterations without a better held-out loss after which no more are begun", TRIAL
    )
    memory: int = number(20, "correction pairs of L-BFGS", TRIAL)
    tol: float = number(1e-6, "a run has converged where the gradient's largest entry is below")
    max_seconds: float | None = number(None, "wall time of a fit")


NUMBERS = SupervisedSettings()
"""The recipe of regression."""
CLASSES = SupervisedSettings(
    widths=(96, 96),
    linear=False,
    n_folds=8,
    precision=0.3,
    precision_last=3.0,
    max_iter=100,
    patience=20,
)
"""The recipe of classification."""
