"""The documentation's page of figures: `python -m benchmarks.page`.

Text and pictures come from benchmarks/results/*.json; suites without results are left out.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks import (
    chart,
    cpflow,
    differences,
    elimination,
    few_a_column,
    figures,
    images,
    large,
    report,
    sbi,
    scaling,
    summary,
    supervised,
    uci,
)
from benchmarks.peers import CLUSTERERS, PEERS
from benchmarks.suites import SUITES, Suite

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
IMAGES = DOCS / "images"
VERSIONS = ("python", *report.PACKAGES, *report.PEERS)

# What has a table of its own form.
OTHERS = {
    uci.NAME: uci.markdown,
    supervised.NAME: supervised.markdown,
    **{source.name: sbi.section(source) for source in sbi.OBSERVATIONS.values()},
    images.NAME: images.markdown,
    cpflow.NAME: cpflow.markdown,
    large.NAME: large.markdown,
    few_a_column.NAME: few_a_column.markdown,
    elimination.NAME: elimination.markdown,
}
# Of what is measured figure by figure: heading and text.
FIGURES = {
    "kernels": (
        "## Speed of the parts, and of a fit",
        "",
        "Float64, N = 1024 moons, hidden layers 4 x 32 unless said; what is compared runs "
        "alternately, medians, compilation left out (`python -m benchmarks.kernels`).",
    ),
    "scaling": (
        "## Time and memory against rows and columns",
        "",
        "`python -m benchmarks.scaling`. The rates are those of the operations counted in "
        "`benchmarks/counts.py`.",
        "",
        "![Time against columns](images/benchmark_scaling.png)",
    ),
    "wide": (
        "## Many columns",
        "",
        "2,000 rows, hidden layers 4 x 16, of 64 bits, but fits as they are, which search with "
        "rows of 32; what is compared runs alternately, medians, compilation left out "
        "(`python -m benchmarks.wide`).",
    ),
    "streaming": (
        "## Large tables",
        "",
        "The commands `brenier fit`, `score` and `transform` of six columns in eight Parquet "
        "files: whole processes, programs compiled before, and the peak of each one's memory "
        "(`python -m benchmarks.streaming`).",
    ),
    "kills": (
        "## Fits that are killed",
        "",
        "`brenier fit --checkpoint FILE`, killed at a random time after it has begun to write the "
        "file, and gone on with: by how much its held-out log-likelihood differs from that of a "
        "fit left alone (`python -m benchmarks.kills`).",
    ),
    "clusters": (
        "## Clusters",
        "",
        "Labels found without any, against the true ones: adjusted Rand indices, means over five "
        "seeds of 600 rows of scikit-learn's toy sets (`python -m benchmarks.clusters`).",
        "",
        *(f"- **{name}**: {peer.treatment}" for name, peer in CLUSTERERS.items()),
    ),
    "blocks": (
        "## Compositions and block-triangular maps",
        "",
        "A block-triangular map against a joint one, and a composition of two maps against one, by "
        "their test losses (`python -m benchmarks.blocks`).",
    ),
}

INTRODUCTION = """\
# Benchmarks

`brenier` beside other density estimators, measured by `python -m benchmarks.run` (install
`brenier[bench]`); this page is written from its output by `python -m benchmarks.page`.

Every peer gets the same rows to train on, the same rows to choose by (when to stop, which size,
which learning rate), two cores, and a process of its own for each fit. Losses are means over test
rows that no fit has seen, in nats per row, 2 pi included, lower is better; tables give the mean and
the standard deviation over seeds, the best in bold. The defaults of `brenier` were chosen with the
moons and most of the posteriors in view, by splits among those used here, so that on these it is a
little flattered.

Seconds to the best model run from the beginning of the fit, packages imported and rows drawn, to
the moment at which the model that was returned at the end existed; just-in-time compilation
counts, and so does everything that was tried before. Peak memory is that of the process up to the
end of the fit, Python and all libraries included.

## How each was treated
"""


def text(results: Path = report.RESULTS) -> str:
    """Return the page."""
    parts = [INTRODUCTION, *(f"- **{name}**: {peer.treatment}" for name, peer in PEERS.items())]
    for suite in SUITES.values():
        kept = _read(suite.name, results)
        if kept is not None:
            parts += _section(suite, kept)
    for name, lines in OTHERS.items():
        records = report.read(name, results)
        if records:
            parts += ["", *lines(records)]
    for name, heading in FIGURES.items():
        kept = _read(name, results)
        if kept is not None:
            parts += ["", *heading, "", *figures.markdown(kept["figures"]), *_machine(kept)]
    return "\n".join(parts) + "\n"


def _read(name: str, results: Path) -> dict[str, Any] | None:
    path = results / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _section(suite: Suite, kept: dict[str, Any]) -> list[str]:
    records = kept["figures"]
    parts = ["", f"## {suite.title}", "", suite.description]
    if suite.costs:
        parts += ["", f"![{suite.title}: loss against seconds](images/{_image(suite)})"]
    for quantity in summary.quantities(suite, records):
        parts += ["", f"### {suite.title}: {quantity.title}", ""]
        parts += summary.markdown(records, quantity)
    if not suite.costs:
        parts += ["", f"### {suite.title}: {differences.TITLE}", ""]
        parts += differences.markdown(records)
        # Nothing is said of seconds, so that it makes no difference how busy the machine was.
        kept = {**kept, "load": None}
    return [*parts, *_failures(records), *_machine(kept)]


def _machine(kept: dict[str, Any]) -> list[str]:
    machine = kept["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in VERSIONS if name in machine)
    return ["", f"{machine['cores']} cores of {machine['processor']}; {versions}.", *_busy(kept)]


def _busy(kept: dict[str, Any]) -> list[str]:
    """Return a warning about the seconds if other jobs ran beside the fits."""
    # One fit at a time keeps the load at about the number of cores.
    if (kept.get("load") or 0.0) <= 1.5 * kept["machine"]["cores"]:
        return []
    return [
        "",
        f"The machine was busy with other jobs as well (load {kept['load']:g}): all seconds are "
        "too long, by factors that differ from fit to fit.",
    ]


def _failures(records: summary.Records) -> list[str]:
    lines = [
        f"- {one['data']}, seed {one['seed']}, {one['peer']}: {one['status']}, `{one['message']}`"
        for one in records
        if "message" in one
    ]
    return ["", "Fits without a result:", "", *lines] if lines else []


def _image(suite: Suite) -> str:
    return f"benchmark_{suite.name}.png"


def main() -> None:
    """Write the page and its pictures."""
    for suite in SUITES.values():
        kept = _read(suite.name, report.RESULTS)
        if kept is not None and suite.costs:
            chart.draw(suite, kept["figures"], IMAGES / _image(suite))
    records = report.read(elimination.NAME)
    if records:
        elimination.draw(records, IMAGES / elimination.IMAGE)
    kept = _read("scaling", report.RESULTS)
    if kept is not None:
        scaling.draw_kept(kept["figures"], IMAGES / "benchmark_scaling.png")
    PAGE.write_text(text())
    report.say(f"written to {PAGE}")


if __name__ == "__main__":
    main()
