"""What a benchmark leaves behind: a table on the screen, and JSON with machine and versions."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PEERS = ("torch", "zuko", "flowjax", "hessQuik", "ngboost")
PACKAGES = ("brenier", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "equinox", "optax")


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target; `target` None where it is only to be printed.

    `least` says that the target is the least that is enough, where otherwise it is the most.
    """

    what: str
    measured: float
    target: float | None = None
    detail: str = ""
    least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the figure is as good as its target."""
        if self.target is None:
            return None
        return bool(self.measured >= self.target if self.least else self.measured <= self.target)

    def __str__(self) -> str:
        mark = {True: "reached", False: "MISSED", None: ""}[self.reached]
        sign = ">=" if self.least else "<="
        target = "" if self.target is None else f"{sign} {self.target:g}"
        return f"{self.what:58s} {self.measured:12.5g} {target:12s} {mark:8s} {self.detail}"


Part = Callable[[], Iterator[Figure]]
"""Measures some figures, one after the other."""


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


def here() -> dict[str, Any]:
    """Return the machine, its versions, and the commit of the brenier that is measured."""
    return {**machine(), "commit": _commit()}


def _commit() -> str | None:
    """Return the commit of brenier's checkout, with a + if files differ; None of an installed one.

    Files that git does not know do not count.
    """
    spec = find_spec("brenier")
    if spec is None or spec.origin is None:
        return None
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    found = subprocess.run(
        command, cwd=Path(spec.origin).parent, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None


def load() -> float | None:
    """Return the number of jobs that ran or waited, mean of the last quarter of an hour."""
    return round(os.getloadavg()[2], 1) if hasattr(os, "getloadavg") else None


def _processor() -> str:
    """Return its name, with family and model where there are any: a name alone may be a brand's."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    pairs = (line.split(":", 1) for line in reversed(lines) if ":" in line)
    said = {key.strip(): value.strip() for key, value in pairs}
    name = said.get("model name", "unknown")
    if "cpu family" not in said:
        return name
    return f"{name}, family {said['cpu family']}, model {said['model']}"


def write(name: str, figures: Any, folder: Path = RESULTS) -> Path:
    """Write figures with the machine, and how busy it was, to `folder`/`name`.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(
        json.dumps({"machine": machine(), "load": load(), "figures": figures}, indent=1) + "\n"
    )
    return path


def read(name: str, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the figures that `write` left, none where there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text())["figures"] if path.exists() else []


def keep(name: str, figures: Sequence[Figure], folder: Path = RESULTS) -> Path:
    """Write figures beside those that `folder`/`name`.json has of parts not measured this time."""
    kept = {figure["what"]: figure for figure in read(name, folder)}
    kept |= {figure.what: {**asdict(figure), "reached": figure.reached} for figure in figures}
    return write(name, list(kept.values()), folder)


def keep_record(name: str, record: dict[str, Any], same: Sequence[str]) -> None:
    """Keep a record of a suite in place of the one, if there is one, whose entries `same` agree."""
    others = [other for other in read(name) if any(other[key] != record[key] for key in same)]
    write(name, [*others, record])


def measure(name: str, parts: Mapping[str, Part], folder: Path = RESULTS) -> None:
    """Measure every part, print its figures and keep them as `folder`/`name`.json."""
    say(" ".join(f"{key}={value}" for key, value in machine().items()))
    say(f"{'what':58s} {'measured':>12s} {'target':12s} {'reached':8s}")
    for part in parts.values():
        for figure in part():
            say(str(figure))
            keep(name, [figure], folder)
    say(f"Figures written to {folder / name}.json")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
