"""How a row's cases ended, and the table of all rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

# Cases that are described one by one.
SHOWN = 20
# Ends that must not be.
BAD = ("broken", "other exceptions", "hangs")
# An end that only few cases may have.
LOSES = "below its Gaussian"
HEADER = ("row", "cases", "refused", "worked", *BAD, LOSES, "most memory")


class Ended(NamedTuple):
    """How one case ended, in what words, and figures of it where there are any."""

    end: str
    words: str = ""
    told: Mapping[str, Any] | None = None


@dataclass
class Tally:
    """How many cases ended how.

    Attributes
    ----------
    ends : Counter
        By what the end is called: "refused" with the exception that is meant for users, "worked",
        `LOSES`, or one of `BAD`.
    described : list of str
        The first cases that neither were refused nor worked.
    told : list of dict
        The figures of cases that have some.
    memory : int
        Most memory of a process (bytes); 0 where that was not looked at.
    """

    ends: Counter[str] = field(default_factory=Counter)
    described: list[str] = field(default_factory=list)
    memory: int = 0
    told: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, end: str, words: str = "", told: Mapping[str, Any] | None = None) -> None:
        """Count a case; describe it where it ended badly."""
        self.ends[end] += 1
        self.told += [] if told is None else [told]
        if end in (*BAD, LOSES) and len(self.described) < SHOWN:
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
        counts = [ends.get(end, 0) for end in ("refused", "worked", *BAD, LOSES)]
        memory = f"{row['memory'] / 1e6:.0f} MB" if row["memory"] else ""
        yield _line([name, row["cases"], *counts, memory])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
