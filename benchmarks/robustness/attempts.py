"""Many cases of a row, each with random numbers of its own, in processes that may die.

A part of the cases has a process of its own, which says when each has ended. Where the process dies
in one, that one is broken, and another process goes on after it.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.robustness.tally import Ended, Tally
from benchmarks.robustness.watch import TooLong, at_most

ROOT = Path(__file__).parents[2]
# Cases of one process.
PART = 250
# Seconds for one case, compilation included, and for a process that can no longer be waited for.
SECONDS, MORE = 60.0, 60.0
SEED = 20260101
# Of `ru_maxrss`: Linux counts in kilobytes.
KILO = 1024

Case = Callable[[int, np.random.Generator, Path], str | Ended]
"""Makes the case of a number, with what is random, in a folder; returns how it ended."""


def ends(case: Case, numbers: Iterable[int], folder: Path) -> Iterator[Ended]:
    """Yield how each case ends, and which it was and what it raised where it did."""
    for number in numbers:
        try:
            with at_most(SECONDS):
                end = case(number, np.random.default_rng([SEED, number]), folder)
            yield end if isinstance(end, Ended) else Ended(end)
        except TooLong:
            yield Ended("hangs", f"case {number}")
        except Exception as error:
            words = f"case {number}: {type(error).__name__}: {error!s:.300}"
            yield Ended("other exceptions", words)


def here(case: Case, numbers: Iterable[int], folder: Path) -> Tally:
    """Make cases in this process."""
    tally = Tally()
    for ended in ends(case, numbers, folder):
        tally.add(*ended)
    return tally


def apart(module: str, cases: int, part: int = PART) -> Tally:
    """Make the cases of a module's function `one`, so many in a process of their own."""
    tally = Tally()
    for first in range(0, cases, part):
        start, last = first, min(first + part, cases)
        while start < last:
            start = _in_a_process(module, start, last, tally)
        sys.stderr.write(f"{module}: {last} of {cases}, {tally.bad} bad\n")
    return tally


def _in_a_process(module: str, start: int, last: int, tally: Tally) -> int:
    """Make cases in one process, and return the number of the next that is to be made."""
    command = [sys.executable, "-m", __spec__.name, module, str(start), str(last)]
    limit = SECONDS * 10 + MORE
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with at_most(limit * (1 + (last - start) / PART)):
                for line in process.stdout:
                    said = json.loads(line)
                    tally.memory = max(tally.memory, said["memory"])
                    tally.add(*said["ended"])
                    start += 1
        except TooLong:
            process.kill()
            tally.add("hangs", f"case {start}")
            return start + 1
    if process.returncode != 0 and start < last:
        tally.add("broken", f"case {start}: the process ended with {process.returncode}")
        return start + 1
    return start


def main() -> None:
    """Make the cases that the command line names, saying how each ended."""
    from importlib import import_module

    name, start, last = sys.argv[1:]
    case = import_module(name).one
    with tempfile.TemporaryDirectory() as folder:
        for ended in ends(case, range(int(start), int(last)), Path(folder)):
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILO
            sys.stdout.write(json.dumps({"ended": ended, "memory": memory}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
