"""Fits that are killed, and go on: `python -m benchmarks.kills`.

`brenier fit --checkpoint FILE` of two tables is killed (SIGKILL) after a random time, and the same
command with `--from FILE` goes on. What is measured is by how much the held-out log-likelihood of
its model differs from that of a fit left alone, and what the file takes.
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
from brenier.data.datasets import EightGaussians
from brenier.io.table import write_table

NAME = "kills"
TABLES = {
    "eight Gaussians, 2,000 x 2": EightGaussians().sample(2000, random_state=0),
    "networks, 4,000 x 4": Networks(4).draw(4000, seed=0),
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


def killed(folder: Path, seconds: float) -> tuple[float, int] | None:
    """Return the log-likelihood of a fit that was killed and went on, and the file's bytes.

    None where it had ended by then.
    """
    path = folder / "fit.checkpoint"
    path.unlink(missing_ok=True)
    process = _fit(folder, "--checkpoint", path.name)
    time.sleep(seconds)
    process.kill()
    if process.wait() == 0:
        return None
    again = ("--from", path.name) if path.exists() else ("--checkpoint", path.name)
    return _likelihood(_fit(folder, *again)), path.stat().st_size


def measured(name: str, X: np.ndarray, n_kills: int) -> list[Figure]:
    """Return the figures of one table."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_table(folder / "rows.npy", X)
        _likelihood(_fit(folder))
        since = time.perf_counter()
        undisturbed = _likelihood(_fit(folder))
        whole = time.perf_counter() - since
        ended: list[tuple[float, int]] = []
        while len(ended) < n_kills:
            one = killed(folder, rng.uniform(0.0, whole))
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
