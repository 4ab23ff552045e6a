"""How a density is trained: what the thesis's reproduction changes and users leave alone.

Names only, so that they can be read and checked without JAX; what they stand for is resolved in
`brenier.training.settings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from types import MappingProxyType
from typing import Any

AUTO = "auto"
"""The optimizer that suits the number of rows."""

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "optimizer": (
            AUTO,
            "lbfgs-varpro",
            "adam-varpro",
            "adam-lbfgs-varpro",
            "gd-varpro",
            "gauss-newton-varpro",
            "adam",
            "schedule-free-adam",
            "lbfgs-full",
            "gauss-newton-full",
        ),
        "inner": ("primal-dual", "barrier"),
        "activation": ("gaussian-softplus", "softplus", "squareplus"),
        "nonnegativity": ("bounds", "softplus"),
    }
)
"""What the settings of an algorithm may be."""


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """How a density is trained.

    The defaults are what users want; the rest is there to compare with, and for the thesis's
    experiments.

    Parameters
    ----------
    optimizer : {"auto", "lbfgs-varpro", "adam-varpro", "adam-lbfgs-varpro", "gd-varpro", \
            "gauss-newton-varpro", "adam", "schedule-free-adam", "lbfgs-full", "gauss-newton-full"}
        How mu, all weights but the last layer's, is trained; the last four train the last layer's
        weights along with it. "auto" is "lbfgs-varpro" up to 8,192 rows, "schedule-free-adam" on
        longer tables. An iteration of Adam is a pass through the rows, one of Adam without a
        schedule 64 steps of 128 rows (`brenier.varpro.mini_batches`).
    inner : {"primal-dual", "barrier"}
        How the last layer is solved for.
    activation : {"gaussian-softplus", "softplus", "squareplus"}
        Convex, non-decreasing activation of the convex layers.
    nonnegativity : {"bounds", "softplus"}
        How the weights between hidden layers stay non-negative: as bounds, or as a softplus of free
        parameters (the thesis's form). Not of conditional densities, which have bounds.
    quadratic : bool
        Whether the potential has quadratic terms. Without them (the thesis's form) the image of the
        map is bounded and the density integrates to less than one. Conditional densities and
        compositions have them in any case.
    max_work_units : int, optional
        Most forward and backward passes of single samples in one run (thesis 4.1).

    Raises
    ------
    ValueError
        If a name is unknown or a number makes no sense.

    Examples
    --------
    >>> from brenier import Algorithm, ConvexPotentialFlow
    >>> flow = ConvexPotentialFlow(algorithm=Algorithm(optimizer="adam-varpro"))
    """

    optimizer: str = AUTO
    inner: str = "primal-dual"
    activation: str = "gaussian-softplus"
    nonnegativity: str = "bounds"
    quadratic: bool = True
    max_work_units: int | None = None

    def __post_init__(self) -> None:
        for name, known in NAMES.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"Expected {name} to be one of {', '.join(map(repr, known))}; got "
                    f"{getattr(self, name)!r}."
                )
        units = self.max_work_units
        if units is not None and not (isinstance(units, Integral) and units > 0):
            raise ValueError(
                f"Expected max_work_units to be a positive integer or None; got {units!r}."
            )

    @staticmethod
    def thesis(**changes: Any) -> "Algorithm":
        """Return the thesis's exact form (2.2, 3.2), with any settings changed."""
        form = Algorithm(
            optimizer="lbfgs-varpro",
            inner="barrier",
            activation="softplus",
            nonnegativity="softplus",
            quadratic=False,
        )
        return replace(form, **changes)
