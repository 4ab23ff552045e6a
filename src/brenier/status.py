"""Named outcomes of iterations, and the warnings they become at the door."""

from enum import Enum, IntEnum
from typing import NamedTuple


class InnerStatus(IntEnum):
    """How a solve of the convex problem in w ended, as integers that compiled code can carry."""

    RUNNING = 0
    CONVERGED = 1
    ITERATION_LIMIT = 2
    NO_PROGRESS = 3
    NUMERICAL_FAILURE = 4


class FitStatus(Enum):
    """How a fit ended."""

    CONVERGED = "converged"
    CONVERGED_LOOSELY = "converged to a loose tolerance"
    STOPPED_ON_VALIDATION = "stopped on validation"
    ITERATION_LIMIT = "iteration limit"
    NO_PROGRESS = "no progress"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    NUMERICAL_FAILURE = "numerical failure"

    @property
    def finished(self) -> bool:
        """Whether the run ended by itself, at a point it can vouch for."""
        return self in (
            FitStatus.CONVERGED,
            FitStatus.CONVERGED_LOOSELY,
            FitStatus.STOPPED_ON_VALIDATION,
        )

    @property
    def out_of_time(self) -> bool:
        """Whether time or Ctrl-C ended it, after which no other run begins."""
        return self in (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT)


class InversionWarning(UserWarning):
    """Some rows of the inverse map did not reach the tolerance; the message says which."""


class InputWarning(UserWarning):
    """The input was usable but not as expected; the message says what was done."""


class SomeRows(NamedTuple):
    """Rows of a table that a warning is of: how many of how many, and the first, from 0."""

    count: int
    n_rows: int
    first: int


class NoImageWarning(InputWarning):
    """Some rows have no image: the text says why, as in "rows lie beyond their bounds"."""

    def __init__(self, rows: SomeRows, why: str):
        super().__init__(
            f"{rows.count} of {rows.n_rows} {why} (first: row {rows.first}) and have no image; "
            "they are NaN."
        )
        self.rows, self.why = rows, why

    def of(self, rows: SomeRows) -> "NoImageWarning":
        """Return the same of other rows."""
        return NoImageWarning(rows, self.why)


class NoPreimageWarning(InversionWarning):
    """Some points have no preimage that was found; the residual is that of the first."""

    def __init__(self, rows: SomeRows, residual: float):
        super().__init__(
            f"{rows.count} of {rows.n_rows} points have no preimage that could be found (first: "
            f"row {rows.first}, residual {residual:.1e}); they are NaN. Without quadratic terms "
            "the map's image is bounded; with them, such a point lies absurdly far out."
        )
        self.rows, self.residual = rows, residual

    def of(self, rows: SomeRows) -> "NoPreimageWarning":
        """Return the same of other rows."""
        return NoPreimageWarning(rows, self.residual)
