"""Every number of the recipe of a convex regression, in one place (`brenier.supervised.convex`)."""

from dataclasses import dataclass, field
from typing import Any

NOT_TRIED = "not tried"
TRIAL = "Convex regression"


def _number(default: Any, what: str, trial: str = TRIAL) -> Any:
    """Return a field of `ConvexSettings`: its default, what it does, its trial."""
    return field(default=default, metadata={"what": what, "trial": trial})


@dataclass(frozen=True)
class ConvexSettings:
    """All numbers of a fit."""

    widths: tuple[int, ...] = _number((16, 16), "widths of the network's layers")
    n_folds: int = _number(
        5, "networks whose average is the model, each of which holds out other rows"
    )
    strengths: tuple[float, ...] = _number(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
        "weight decays, and ridges of the last layer's weights, that held-out rows choose between "
        "(of standardised targets)",
    )
    first_folds: int = _number(2, "folds that all strengths are tried on")
    kept_strengths: int = _number(2, "strengths that are tried on the others, too")
    max_iter: int = _number(200, "most iterations of a run")
    patience: int = _number(20, "iterations without a lower held-out loss that end a run")
    patience_share: float = _number(0.0, "the same as a share of those done", NOT_TRIED)
    spread: tuple[float, float] = _number(
        (0.5, 2.0), "range of the initial pre-activations' standard deviations", NOT_TRIED
    )
    tau: float = _number(1e-6, "final barrier weight (of standardised targets)", NOT_TRIED)
    quadratic_columns: int = _number(
        16, "most columns whose quadratics have axes of their own; of more, one a column", NOT_TRIED
    )
    ridges: tuple[float, ...] = _number(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        "ridges of the quadratic form that gives the axes, one of them by cross-validation",
        NOT_TRIED,
    )
