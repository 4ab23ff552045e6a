"""Put the measured figures into the README: `python -m benchmarks.readme`."""

import json
import re
from pathlib import Path

from benchmarks.figures import markdown
from benchmarks.report import RESULTS

README = Path(__file__).parents[1] / "README.md"
BETWEEN = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", flags=re.DOTALL)


def table() -> str:
    """Return the figures of `benchmarks.targets` as Markdown, with the machine they are from."""
    kept = json.loads((RESULTS / "targets.json").read_text())
    machine = kept["machine"]
    lines = markdown(kept["figures"])
    versions = ", ".join(f"{name} {machine[name]}" for name in ("jax", "numpy", "scipy"))
    lines += ["", f"{machine['cores']} cores of {machine['processor']}; {versions}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Write the table between its marks."""
    README.write_text(BETWEEN.sub(lambda _: table(), README.read_text()))


if __name__ == "__main__":
    main()
