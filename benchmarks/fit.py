"""One fit in a process of its own: `python -m benchmarks.fit SUITE DATA PEER SEED FILE`.

Called by `benchmarks.accuracy`; leaves its record in FILE. The clock starts once rows are drawn and
packages imported; just-in-time compilation counts. `run` is for other modules that are called so.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import peak_mib
from benchmarks.peers import PEERS
from benchmarks.peers.protocol import CORES, Fitted
from benchmarks.suites import SUITES, DataSet
from brenier.training.report import MeanAndError

# Of which those outside a distribution in pieces are counted.
N_DRAWS = 5000
FITTED, NOT_FINITE = "fitted", "not finite"


@dataclass(frozen=True)
class Task:
    """Which peer is fitted to which rows."""

    suite: str
    data: str
    peer: str
    seed: int


def measure(task: Task) -> dict[str, Any]:
    """Return the record of one fit: losses (nats per row), seconds and memory."""
    dataset = SUITES[task.suite].datasets[task.data]
    rows = dataset.rows(task.seed)
    fit = PEERS[task.peer].load()
    start = time.perf_counter()
    fitted = fit(rows, task.seed, lambda: time.perf_counter() - start)
    seconds = time.perf_counter() - start
    record = {
        **asdict(task),
        "rows": [len(part) for part in rows],
        "columns": rows.train.shape[1],
        "best_at": fitted.best_at,
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "chosen": fitted.chosen,
    }
    log_density = np.asarray(fitted.log_density(rows.test), dtype=float)
    bad = int(np.sum(~np.isfinite(log_density)))
    if bad:
        message = f"{bad} of {len(log_density)} test rows without a finite log-density"
        return {**record, "status": NOT_FINITE, "message": message}
    truth = None if dataset.truth is None else dataset.truth.log_density(rows.test)
    losses = _losses(log_density, truth, rows.test.shape[1])
    return {**record, "status": FITTED, **losses, **_outside(dataset, fitted)}


def _outside(dataset: DataSet, fitted: Fitted) -> dict[str, float]:
    """Return the share of draws outside every piece, where there are pieces."""
    if dataset.outside is None:
        return {}
    return {"outside": float(np.mean(dataset.outside(fitted.draw(N_DRAWS))))}


def _losses(log_density: np.ndarray, truth: np.ndarray | None, n: int) -> dict[str, float]:
    """Return the test NLL, J, and the gap to the truth where it is known."""
    nll = MeanAndError.of(-log_density)
    losses = {
        "nll": nll.mean,
        "nll_error": nll.standard_error,
        "J": nll.mean - 0.5 * n * float(np.log(2 * np.pi)),
    }
    if truth is None:
        return losses
    gap = MeanAndError.of(truth - log_density)
    return {**losses, "gap": gap.mean, "gap_error": gap.standard_error}


def run(measure: Callable[[Task], dict[str, Any]]) -> None:
    """Measure the task that the command line names, on as many cores as every peer gets."""
    suite, data, peer, seed, file = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    warnings.simplefilter("ignore")
    record = measure(Task(suite, data, peer, int(seed)))
    # The record appears whole or not at all.
    part = Path(f"{file}.part")
    part.write_text(json.dumps(record))
    part.replace(file)


if __name__ == "__main__":
    run(measure)
