"""What a convex regression has of numbers besides those of all networks.

Each field says what it does and names its trial in `benchmarks/NOTES.md`.
"""

from dataclasses import dataclass

from brenier.supervised.settings import SupervisedSettings, number

TRIAL = "Convex regression"


@dataclass(frozen=True)
class ConvexSettings:
    """Numbers of a fit that a search (`SupervisedSettings`) does not know."""

    spread: tuple[float, float] = number(
        (0.5, 2.0), "range of the initial pre-activations' standard deviations", TRIAL
    )
    tau: float = number(1e-6, "final barrier weight, of a standardised target", TRIAL)
    quadratic_columns: int = number(
        16, "most columns whose quadratics have axes of their own; of more, one a column"
    )
    ridges: tuple[float, ...] = number(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        "ridges of the quadratic form that gives the axes, one of them by cross-validation",
    )


SEARCH = SupervisedSettings(
    widths=(16, 16),
    n_folds=8,
    precision=0.3,
    precision_last=0.03,
    max_iter=100,
    patience=25,
)
"""Numbers of the searches where they are not those of a tanh network ("Convex regression")."""
