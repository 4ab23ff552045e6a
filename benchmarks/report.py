"""What a benchmark leaves behind: a table on the screen, and JSON with machine and versions."""

import json
import os
import platform
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PEERS = ("torch", "zuko", "flowjax")
PACKAGES = ("brenier", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "equinox", "optax")


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        **{name: version(name) for name in PEERS if find_spec(name) is not None},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def write(name: str, figures: Any, folder: Path = RESULTS) -> Path:
    """Write figures with the machine to `folder`/`name`.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1) + "\n")
    return path


def read(name: str, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the figures that `write` left, none where there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text())["figures"] if path.exists() else []


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
