"""The guide's blocks of Python, one after the other, each timed (`benchmarks.speed.child`)."""

import re
import time
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_blocks() -> dict[str, Any]:
    """Return the seconds of every block, run in the current folder, the project's."""
    names: dict[str, Any] = {}
    seconds = []
    for code in BLOCK.findall(GUIDE.read_text()):
        begun = time.perf_counter()
        exec(compile(code, GUIDE.name, "exec"), names)  # noqa: S102
        seconds.append(time.perf_counter() - begun)
    return {"blocks": seconds}
