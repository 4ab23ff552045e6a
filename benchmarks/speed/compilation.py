"""The wall time in which JAX compiles, whichever threads do it.

JAX tells of every tracing, lowering and compilation when it has ended, and how long it took.
Several can run at once, and one inside of another: their time is that of the intervals' union.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

EVENTS = "/jax/core/compile/"
PROGRAM = "/jax/core/compile/backend_compile_duration"


class Span(NamedTuple):
    """From when to when something took place, in seconds of any one clock."""

    start: float
    end: float


def union_length(spans: Iterable[Span]) -> float:
    """Return the length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


class CompilationWatch:
    """Listens to JAX from its making on.

    Attributes
    ----------
    spans : list of Span
        Of everything that was traced, lowered or compiled.
    seconds : Counter
        Sums by kind of event, over all threads; what is nested counts twice.
    """

    def __init__(self) -> None:
        import jax.monitoring

        self.spans: list[Span] = []
        self.seconds: Counter[str] = Counter()
        self.programs = 0
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event: str, duration: float, **_: Any) -> None:
        if event.startswith(EVENTS):
            now = time.perf_counter()
            self.spans.append(Span(now - duration, now))
            self.seconds[event.removeprefix(EVENTS)] += duration
            self.programs += event == PROGRAM

    def report(self) -> dict[str, Any]:
        """Return the wall time of compilation, the number of programs, and sums by kind."""
        return {
            "compiling": union_length(self.spans),
            "programs": self.programs,
            "by_kind": dict(self.seconds),
        }
