"""Fits that are killed, and go on: `python -m benchmarks.kills`.

`brenier fit --checkpoint FILE` of two tables is killed (SIGKILL) at a random time after it has
begun to write the file, and the same command with `--from FILE` goes on. What is measured is by how
much the held-out log-likelihood of its model differs from that of a fit left alone, and what the
file takes. Of two processes that make one fit, one is killed: when the other has ended by itself,
and by how much the model of two others differs that go on.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

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
KILLS, KILLS_OF_PAIRS = 25, 10
# Nats that a model may differ by.
WANTED = 1e-3
# After which the other of two processes must have ended.
MOST_SECONDS = 120.0
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


def _pair(folder: Path, *options: str) -> list[subprocess.Popen[str]]:
    """Return two processes that make one fit."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
    common = [*COMMAND, "rows.parquet", "-o", "model.brenier", "--json", *options]
    common += ["--distributed", "--coordinator", where, "--num-processes", "2"]
    return [
        subprocess.Popen(
            [*common, "--process-id", str(number)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]


def _likelihood_of_pair(pair: list[subprocess.Popen[str]]) -> float:
    likelihood = _likelihood(pair[0])
    pair[1].communicate()
    return likelihood


def killed_pair(
    folder: Path, path: Path, dies: int, seconds: float
) -> tuple[float, float, bool] | None:
    """Return when the other process has ended, by how much the model differs, and if it was said.

    None where both had ended before one was killed.
    """
    path.unlink(missing_ok=True)
    pair = _pair(folder, "--checkpoint", path.name)
    _until_it_writes(pair[0], path)
    time.sleep(seconds)
    pair[dies].kill()
    since = time.perf_counter()
    _, error = pair[1 - dies].communicate(timeout=2 * MOST_SECONDS)
    ended = time.perf_counter() - since
    pair[dies].communicate()
    if pair[dies].returncode == 0:
        return None
    said = pair[1 - dies].returncode != 0 and f"process {dies} of 2 is gone" in error
    return ended, _likelihood_of_pair(_pair(folder, "--from", path.name)), said


def of_processes(n_kills: int) -> Iterator[Figure]:
    """Yield the figures of two processes."""
    rng = np.random.default_rng(0)
    X = TABLES["a moon, 400 x 2"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        path = folder / "fit.checkpoint"
        frame = pl.from_numpy(X, schema=["a", "b"])
        frame.write_parquet(folder / "rows.parquet", row_group_size=len(X) // 4)
        undisturbed = _likelihood_of_pair(_pair(folder))
        pair = _pair(folder, "--checkpoint", path.name)
        _until_it_writes(pair[0], path)
        since = time.perf_counter()
        _likelihood_of_pair(pair)
        seconds = time.perf_counter() - since
        found: list[tuple[float, float, bool]] = []
        while len(found) < n_kills:
            one = killed_pair(folder, path, len(found) % 2, rng.uniform(0.0, seconds))
            found += [] if one is None else [one]
            report.say(f"two processes: {len(found)} of {n_kills}")
    detail = f"{n_kills} kills; {sum(said for *_, said in found)} others said so and ended non-zero"
    yield Figure(
        "two processes: seconds until the other has ended",
        max(ended for ended, *_ in found),
        MOST_SECONDS,
        detail,
    )
    apart = np.abs(np.array([likelihood for _, likelihood, _ in found]) - undisturbed)
    yield Figure("two processes: most nats apart after a kill", float(apart.max()), WANTED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS, help="of each table")
    parser.add_argument("--only", choices=[*TABLES, "processes"])
    given = parser.parse_args(arguments)
    n_kills, only = given.kills, given.only
    parts: dict[str, report.Part] = {
        name: lambda n=name, X=X: iter(measured(n, X, n_kills)) for name, X in TABLES.items()
    }
    parts |= {"processes": lambda: of_processes(min(n_kills, KILLS_OF_PAIRS))}
    if only is not None:
        parts = {only: parts[only]}
    report.measure(NAME, parts)


if __name__ == "__main__":
    main()
