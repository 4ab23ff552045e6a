"""The memory of this process."""

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_mib() -> float:
    """Return the peak of this process's resident memory, in MiB.

    On Linux not `getrusage`, whose figure starts at the peak of the process that started this one.
    """
    if STATUS.exists():
        return _status("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def resident_mib() -> float:
    """Return this process's resident memory, in MiB; NaN where the system does not say."""
    return _status("VmRSS") if STATUS.exists() else float("nan")


def _status(field: str) -> float:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
