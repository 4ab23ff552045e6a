"""Named outcomes of iterations, and the warnings they become at the door."""

from enum import Enum, IntEnum


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
