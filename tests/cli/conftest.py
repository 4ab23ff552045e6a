"""What the tests of the command line share: `brenier` as users run it, and a model that it made."""

import os
import subprocess
import sys

import pytest
from small_tables import NAMES, SMALL, rows
from terminal import TIMEOUT

from brenier.io.table import write_table


@pytest.fixture(scope="session")
def environment():
    """Return the environment of such a process: with Python's own buffering, which users have."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}


@pytest.fixture(scope="session")
def brenier(environment):
    """Run `brenier` as a user does: a process of its own."""

    def run(*arguments, cwd=None, stdin=None):
        return subprocess.run(
            [sys.executable, "-m", "brenier", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=environment,
            input=stdin,
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    write_table(folder / "train.csv.gz", rows(), NAMES)
    return folder


@pytest.fixture(scope="session")
def fitted(brenier, folder):
    """The process that made train.brenier."""
    return brenier("fit", "train.csv.gz", "--bounds", "mass=0:", *SMALL, cwd=folder)


@pytest.fixture(scope="session")
def model(fitted, folder):
    assert fitted.returncode == 0, fitted.stderr
    return str(folder / "train.brenier")
