"""Print how large the packages are that brenier needs: `python tools/sizes.py`.

With `--write` the tables go into docs/install.md. Sizes are those of the files that pip installed
in this environment, one with `brenier[test]`, and of the bytecode that it compiled.
"""

import argparse
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[1] / "docs" / "install.md"
BETWEEN = re.compile(r"(?<=<!-- sizes -->\n).*?(?=<!-- end of sizes -->)", re.DOTALL)
MEGABYTE = 1e6
# Smaller packages share a row (megabytes).
LEAST = 1.0
USES = {
    "equinox": "fits: networks as modules of arrays",
    "jax": "fits: derivatives and compiled programs",
    "jaxtyping": "shapes of arrays in signatures",
    "numpy": "arrays, everywhere",
    "optax": "the optimizers `adam`, `adam-varpro` and `adam-lbfgs-varpro` only",
    "polars": "data files; named tables of block-triangular densities and of pictures",
    "rich": "command line: progress and tables",
    "safetensors": "model files",
    "scikit-learn": "the estimators' contract",
    "scipy": "line search, special functions, statistics",
    "threadpoolctl": "fits: one thread for each of parallel runs",
    "typer": "command line",
}
# What each part needs beside those before it.
PARTS = {
    "fits in Python, and model files": (
        "equinox",
        "jax",
        "jaxtyping",
        "numpy",
        "safetensors",
        "scikit-learn",
        "scipy",
        "threadpoolctl",
    ),
    "data files, named tables of blocks and pictures": ("polars",),
    "the command line": ("rich", "typer"),
    "Adam, for comparison": ("optax",),
}
EXTRAS = {"plots": "pictures", "astronomy": "FITS and VOTable files"}


def needed(name: str, extras: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return all packages that one needs here, each with the one that first asks for it."""
    found: dict[str, str] = {}
    waiting = [(canonicalize_name(name), extras)]
    while waiting:
        asking, wanted = waiting.pop(0)
        for requirement in _requirements(asking, wanted):
            other = canonicalize_name(requirement.name)
            if other not in found and other != canonicalize_name(name):
                found[other] = asking
                waiting.append((other, frozenset(requirement.extras)))
    return found


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """Yield what a package requires on this Python and platform."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield requirement


def megabytes(name: str) -> float:
    """Return the size of a package's files."""
    paths = (Path(str(file.locate())) for file in distribution(name).files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / MEGABYTE


def parts() -> str:
    """Return what every part and extra adds to those before it, as Markdown."""
    before, rows = set[str](), []
    for part, packages in PARTS.items():
        needs = set(packages).union(*(needed(name) for name in packages))
        rows.append((part, ", ".join(packages), _together(needs - before)))
        before |= needs
    rows.append(("**together**", "", _together(before)))
    for extra, use in EXTRAS.items():
        needs = needed("brenier", frozenset([extra])).keys() - before
        rows.append((use, f"`brenier[{extra}]`", _together(needs)))
    return _markdown(("part", "packages", "MB"), rows)


def packages() -> str:
    """Return the sizes of all packages that brenier needs, as Markdown."""
    asking = needed("brenier")
    sizes = {name: megabytes(name) for name in asking}
    shown = [name for name in sizes if sizes[name] >= LEAST or name in USES]
    rows = [
        (name, USES.get(name, f"of {asking[name]}"), f"{sizes[name]:.1f}")
        for name in sorted(shown, key=lambda name: -sizes[name])
    ]
    rest = sizes.keys() - shown
    rows.append((f"{len(rest)} others", "of these", _together(rest)))
    return _markdown(("package", "what for", "MB"), rows)


def _together(names: Iterable[str]) -> str:
    return f"{sum(megabytes(name) for name in names):.1f}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---", "---", "--:"), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def versions() -> str:
    """Return the versions of the packages that are asked for, and the Python."""
    named = [f"{name} {distribution(name).version}" for name in USES]
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; "
        + ", ".join(named)
    )


def main() -> None:
    """Print the tables, or write them into their page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them into docs/install.md")
    try:
        text = f"{parts()}\n{packages()}\n{versions()}.\n"
    except PackageNotFoundError as error:
        raise SystemExit(
            f"Expected {error.name}; it is not installed. Use brenier[test]."
        ) from error
    if parser.parse_args().write:
        PAGE.write_text(BETWEEN.sub(lambda _: text, PAGE.read_text()))
    else:
        print(text)


if __name__ == "__main__":
    main()
