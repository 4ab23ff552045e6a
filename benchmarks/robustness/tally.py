"""How a row's cases ended, and the table of all rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# Cases that are described one by one.
SHOWN = 20
# Ends that must not be.
BAD = ("broken", "other exceptions", "hangs")
HEADER = ("row", "cases", "refused", "worked", *BAD, "most memory")


@dataclass
class Tally:
    """How many cases ended how.

    Attributes
    ----------
    ends : Counter
        By what the end is called: "refused" with the exception that is meant for users, "worked",
        or one of `BAD`.
    described : list of str
        The first cases that ended badly.
    memory : int
        Most memory of a process (bytes); 0 where that was not looked at.
    """

    ends: Counter[str] = field(default_factory=Counter)
    described: list[str] = field(default_factory=list)
    memory: int = 0

    def add(self, end: str, words: str = "") -> None:
        """Count a case; describe it where it ended badly."""
        self.ends[end] += 1
        if end in BAD and len(self.described) < SHOWN:
            self.described.append(f"{end}: {words}")

    @property
    def cases(self) -> int:
        """How many there were."""
        return sum(self.ends.values())

    @property
    def bad(self) -> int:
        """How many ended badly."""
        return sum(self.ends[end] for end in BAD)

    def to_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {**asdict(self), "ends": dict(self.ends), "cases": self.cases, "bad": self.bad}


def lines(kept: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of all rows as Markdown."""
    yield _line(HEADER)
    yield _line(["---"] * len(HEADER))
    for name, row in kept.items():
        ends = row["ends"]
        counts = [ends.get(end, 0) for end in ("refused", "worked", *BAD)]
        memory = f"{row['memory'] / 1e6:.0f} MB" if row["memory"] else ""
        yield _line([name, row["cases"], *counts, memory])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
