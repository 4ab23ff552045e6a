"""Build wheel and sdist, install each in a clean environment, and use it.

For every Python that is found (`python3.11`, ... on the path, those of pyenv, or `--python`): the
wheel with the newest JAX there is, the sdist with the lowest that pyproject.toml promises. In each
environment, outside the project's folder: the version is the project's, a small table is fitted
from the command line, the model is read back in Python, and its samples have the table's columns.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
USE = """
import sys
import jax, numpy as np, polars as pl
import brenier

assert brenier.__version__ == sys.argv[1], brenier.__version__
assert "site-packages" in brenier.__file__, brenier.__file__
flow = brenier.load("small.brenier")
rows = flow.sample(5, random_state=0)
assert rows.shape == (5, 2) and np.isfinite(rows).all()
assert np.isfinite(flow.score_samples(pl.DataFrame(rows, schema=["a", "b"]))).all()
assert not jax.config.jax_enable_x64
print("jax", jax.__version__, "numpy", np.__version__)
"""
FIT = ["--widths", "4", "--max-iter", "5", "--n-estimators", "1", "--decay", "0.001", "--quiet"]


@dataclass(frozen=True)
class Case:
    """What is installed: a file of the release, on a Python, with a JAX."""

    python: Path
    version: str
    artefact: Path
    jax: str

    def __str__(self) -> str:
        kind = "wheel" if self.artefact.suffix == ".whl" else "sdist"
        return f"Python {self.version}, {kind}, {self.jax or 'newest jax'}"


def promised_pythons() -> list[str]:
    """Return the versions of Python that the classifiers name."""
    found = (re.fullmatch(r".*:: (3\.\d+)", line) for line in PROJECT["classifiers"])
    return [match[1] for match in found if match]


def lowest_jax() -> str:
    """Return the requirement that installs the lowest JAX promised."""
    (low,) = (r.partition(">=")[2] for r in PROJECT["dependencies"] if r.startswith("jax>="))
    return f"jax=={low}.*"


def pythons(given: list[str]) -> dict[str, Path]:
    """Return the promised Pythons on this machine, by version."""
    folders = Path.home() / ".pyenv" / "versions"
    found: dict[str, Path] = {}
    for version in promised_pythons():
        places = [shutil.which(f"python{version}"), *folders.glob(f"{version}.*/bin/python")]
        places = [place for place in (*given, *places) if place and _version(place) == version]
        if places:
            found[version] = Path(places[0])
    return found


def _version(python: str | Path) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return run.stdout.strip()


def build(folder: Path) -> list[Path]:
    """Return the wheel, built from the sdist as pip would, and the sdist."""
    _environment(Path(sys.executable), folder / "build")
    _run([_bin(folder / "build", "pip"), "install", "-q", "build"], folder)
    _run([_bin(folder / "build", "python"), "-m", "build", "-o", folder / "dist", ROOT], folder)
    return [*(folder / "dist").glob("*.whl"), *(folder / "dist").glob("*.tar.gz")]


def check(case: Case, folder: Path) -> str:
    """Install and use what a case names; return the versions that were used."""
    home = folder / "environment"
    _environment(case.python, home)
    try:
        wanted = [str(case.artefact), *([case.jax] if case.jax else [])]
        _run([_bin(home, "pip"), "install", "-q", *wanted], folder)
        _run([_bin(home, "pip"), "check"], folder)
        (folder / "small.csv").write_text(_table())
        _run([_bin(home, "brenier"), "fit", "small.csv", "-o", "small.brenier", *FIT], folder)
        use = [_bin(home, "python"), "-c", USE, PROJECT["version"]]
        return _run(use, folder).strip()
    finally:
        shutil.rmtree(home)


def _table() -> str:
    rows = (f"{(k * 37 % 101) / 10},{(k * 53 % 97) / 7 + k / 50}" for k in range(200))
    return "\n".join(["a,b", *rows]) + "\n"


def _environment(python: Path, home: Path) -> None:
    _run([python, "-m", "venv", home], home.parent)


def _bin(home: Path, name: str) -> Path:
    return home / "bin" / name


def _run(command: list, folder: Path) -> str:
    run = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))[:200]}\n{run.stdout}{run.stderr}")
    return run.stdout


def main() -> None:
    """Check every case and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--python", action="append", default=[], help="a Python to use too")
    parser.add_argument("--only", help="one version of Python, such as 3.12")
    arguments = parser.parse_args()
    found = pythons(arguments.python)
    for version in promised_pythons():
        if version not in found:
            print(f"Python {version}: not on this machine, not checked", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        artefacts = build(folder)
        print("built", ", ".join(path.name for path in artefacts), flush=True)
        for version, python in found.items():
            if arguments.only in (None, version):
                for artefact, jax in ((artefacts[0], ""), (artefacts[1], lowest_jax())):
                    case = Case(python, version, artefact, jax)
                    print(f"{case}: passed, {check(case, folder)}", flush=True)


if __name__ == "__main__":
    main()
