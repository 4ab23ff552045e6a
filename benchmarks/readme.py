"""Put the measured figures into the README: `python -m benchmarks.readme`.

They are those of `python -m benchmarks.run` on posteriors and moons, of `python -m benchmarks.uci`,
made with the defaults, and of `python -m benchmarks.speed`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.report import RESULTS
from benchmarks.speed import results
from benchmarks.summary import Records, cell

README = Path(__file__).parents[1] / "README.md"
BETWEEN = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", flags=re.DOTALL)
# Columns of the tables: what the records call a peer, and what the README does.
DENSITIES = {
    "brenier": "brenier",
    "mixture": "mixture",
    "zuko-nsf": "spline flow",
    "zuko-maf": "autoregressive flow",
    "gaussian": "Gaussian",
}
# Rows of the table of speed, and what the README calls them.
SECONDS = {
    "command-first": "the command above, nothing compiled",
    "command-again": "the command above again",
    "rows-1e5": "a first fit of 100,000 x 6",
    "rows-1e6": "a first fit of 1,000,000 x 6",
}
CONDITIONALS = {"brenier": "brenier", "ngboost": "NGBoost"}


def table() -> str:
    """Return the figures as Markdown, with the machine they are from."""
    densities = report.read("posteriors") + report.read("moons")
    machine = json.loads((RESULTS / "posteriors.json").read_text())["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("jax", "numpy", "scipy"))
    lines = [
        *_table("test NLL of a density", densities, DENSITIES),
        "",
        *_table("test NLL given a context", report.read("uci"), CONDITIONALS),
        "",
        f"{machine['cores']} cores of {machine['processor']}; {versions}.",
        "",
        *_seconds(),
        "",
    ]
    return "\n".join(lines)


def _seconds() -> list[str]:
    """Return a table of medians and of the fastest and slowest repetition."""
    kept, lines = results.read(), ["| seconds | median | of | from, to |", "|---|---|---|---|"]
    for name, what in SECONDS.items():
        each = [one["value"] for one in kept[name]["repetitions"] if "value" in one]
        ends = f"{min(each):.0f}, {max(each):.0f}"
        lines.append(f"| {what} | {kept[name]['measured']:.0f} | {len(each)} | {ends} |")
    machine = kept["command-first"]["machine"]
    return [*lines, "", f"{machine['cores']} cores of {machine['processor']}."]


def _table(title: str, records: Records, peers: Mapping[str, str]) -> list[str]:
    """Return a table of mean test NLL, data sets down and peers across; the best are bold."""
    lines = [f"| {title} | {' | '.join(peers.values())} |", "|---" * (len(peers) + 1) + "|"]
    for data in dict.fromkeys(record["data"] for record in records):
        means = [round(cell(records, data, peer, "nll").mean, 3) for peer in peers]
        lines.append(f"| {data} | {' | '.join(_marked(means))} |")
    return lines


def _marked(means: Sequence[float]) -> list[str]:
    return [f"**{mean:.3f}**" if mean == min(means) else f"{mean:.3f}" for mean in means]


def main() -> None:
    """Write the tables between their marks."""
    README.write_text(BETWEEN.sub(lambda _: table(), README.read_text()))


if __name__ == "__main__":
    main()
