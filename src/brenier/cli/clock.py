"""When this process began, and how it ends: at once, whatever still goes on that nobody needs."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

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


def leave(code: int | str | None) -> NoReturn:
    """End the process with a code at once, all output written.

    Python would wait for a compilation that a fit has left behind, and then take a second to clear
    away what the system clears away by itself.
    """
    for stream in (sys.stdout, sys.stderr):
        # One that was closed is None; of another whoever read it may have gone: it has been said.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
