"""What a fit is doing, for who follows it: phase, count, best log-likelihood, seconds.

`brenier.training.stream` makes the events.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

READING, COMPILING, SELECTING, FITTING, SUMMING = PHASES = (
    "reading",
    "compiling",
    "selecting",
    "fitting",
    "summing",
)
"""What a fit does, in that order: rows are read and preprocessed; programs compiled;
hyperparameters selected; potentials fitted; their sum, its tails and the report made."""


@dataclass(frozen=True)
class Event:
    """Where a fit is.

    Attributes
    ----------
    phase : str
        One of `PHASES`.
    done, of : int
        Of the phase's parts, so many have ended: programs, or runs. `of` is 0 where there is
        nothing to count; of programs, those known of so far.
    share : float
        How much of the phase is done, between 0 and 1; NaN where that is unknown.
    log_likelihood : float
        The best so far, of held-out rows if there are any (nats per row); NaN before the first.
    elapsed, remaining : float
        Seconds since the fit began, and that the phase is likely to take yet; NaN where that is
        unknown.
    part : str
        Which map or block this is about, where there are several.
    """

    phase: str
    done: int = 0
    of: int = 0
    share: float = math.nan
    log_likelihood: float = math.nan
    elapsed: float = 0.0
    remaining: float = math.nan
    part: str = ""

    @property
    def words(self) -> str:
        """The phase in words, with that of its parts that goes on, counted from one."""
        of = " programs" * (self.phase == COMPILING)
        count = f" {min(self.done + 1, self.of)} of {self.of}{of}" if self.of > 1 else ""
        return f"{self.part}{': ' * bool(self.part)}{self.phase}{count}"

    @property
    def likelihood(self) -> str:
        """The best log-likelihood so far, in words; nothing before the first."""
        known = math.isfinite(self.log_likelihood)
        return f"best so far {self.log_likelihood:.4f} nats/row" if known else ""

    @property
    def time_left(self) -> str:
        """What the phase is likely to take yet, in words; nothing where that is unknown."""
        known = math.isfinite(self.remaining)
        return f"about {max(1.0, self.remaining):.0f} s left" if known else ""

    def __str__(self) -> str:
        likelihood = "  " * bool(self.likelihood) + self.likelihood
        return f"{self.elapsed:7.1f} s  {self.words}{likelihood}"


class Listener(ABC):
    """Who follows a fit: is told every event, one at a time.

    Attributes
    ----------
    began : float or None
        When what it follows began, by `time.perf_counter`, if before the call of `fit`: seconds,
        and those of a time limit, are counted from then.
    """

    began: float | None = None

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Be told."""


class PhaseLines(Listener):
    """Says a line a phase, of every part of the model, when it begins for the first time.

    Parameters
    ----------
    say : callable
        Called with every line.
    """

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._said: set[tuple[str, str]] = set()

    def on_event(self, event: Event) -> None:
        """Say the event if a phase begins with it."""
        if (event.part, event.phase) not in self._said:
            self._said.add((event.part, event.phase))
            self._say(str(event))
