"""Fits that are killed, and go on: `python -m benchmarks.kills`.

`brenier fit --checkpoint FILE` of two tables is killed (SIGKILL) at a random time after it has
begun to write the file, and the same command with `--from FILE` goes on. What is measured is by how
much the held-out log-likelihood of its model differs from that of a fit left alone, and what the
file takes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.large import Networks
from benchmarks.report import Figure
from brenier.data.datasets import MAFMoon
from brenier.io.table import write_table

NAME = "kills"
TABLES = {
    "a moon, 400 x 2": MAFMoon().sample(400, random_state=0),
    "networks, 3,000 x 3": Networks(3).draw(3000, seed=0),
}
KILLS = 25
# Nats that a model may differ by.
WANTED = 1e-3
COMMAND = (sys.executable, "-m", "brenier", "fit")


def _fit(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [*COMMAND, "rows.npy", "-o", "model.brenier", "--json", *options]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _likelihood(process: subprocess.Popen[str]) -> float:
    """Return the held-out log-likelihood that a fit tells of when it has ended."""
    text, _ = process.communicate()
    return float(json.loads(text)["heldout_log_likelihood"])


def _until_it_writes(process: subprocess.Popen[str], path: Path) -> None:
    while process.poll() is None and not path.exists():
        time.sleep(0.005)


def _seconds_of_writing(folder: Path, path: Path) -> float:
    """Return how long a fit goes on after it has begun to write its checkpoint."""
    process = _fit(folder, "--checkpoint", path.name)
    _until_it_writes(process, path)
    since = time.perf_counter()
    _likelihood(process)
    return time.perf_counter() - since


def killed(folder: Path, path: Path, seconds: float) -> tuple[float, int] | None:
    """Return the log-likelihood of a fit that was killed and went on, and the file's bytes then.

    None where it had ended by then.
    """
    path.unlink(missing_ok=True)
    process = _fit(folder, "--checkpoint", path.name)
    _until_it_writes(process, path)
    time.sleep(seconds)
    process.kill()
    if process.wait() == 0:
        return None
    return _likelihood(_fit(folder, "--from", path.name)), path.stat().st_size


def measured(name: str, X: np.ndarray, n_kills: int) -> list[Figure]:
    """Return the figures of one table."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        path = folder / "fit.checkpoint"
        write_table(folder / "rows.npy", X)
        undisturbed = _likelihood(_fit(folder))
        seconds = _seconds_of_writing(folder, path)
        ended: list[tuple[float, int]] = []
        while len(ended) < n_kills:
            one = killed(folder, path, rng.uniform(0.0, seconds))
            ended += [] if one is None else [one]
            report.say(f"{name}: {len(ended)} of {n_kills}")
    apart = np.abs(np.array([likelihood for likelihood, _ in ended]) - undisturbed)
    size = max(size for _, size in ended) / 1e6
    detail = f"{n_kills} kills; {int(np.sum(apart == 0.0))} equal to the last bit"
    return [
        Figure(f"{name}: most nats apart after a kill", float(apart.max()), WANTED, detail),
        Figure(f"{name}: the checkpoint's size (MB)", size),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS, help="of each table")
    n_kills = parser.parse_args(arguments).kills
    parts = {name: lambda n=name, X=X: iter(measured(n, X, n_kills)) for name, X in TABLES.items()}
    report.measure(NAME, parts)


if __name__ == "__main__":
    main()
