"""When this process began, and how it ends when work goes on that nobody waits for."""

import os
import sys
import time
from pathlib import Path

from brenier.training.background import left_behind

# Where the platform does not say when the process began: the import of this module.
_IMPORTED = time.perf_counter()
# The field of /proc/self/stat with the start in ticks since boot, counted from the program's name.
_START = 19


def process_began() -> float:
    """Return when this process began, by `time.perf_counter`."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks = int(after_name[_START])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return _IMPORTED
    return time.perf_counter() - age


def leave(code: int | str | None) -> None:
    """End the process at once where a fit has left work behind, all output written; else return.

    Python would wait for a compilation to its end.
    """
    if not left_behind():
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Whoever read it has gone, and it has been said.
            continue
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
