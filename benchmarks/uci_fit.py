"""One fit to a UCI table in a process of its own.

Called by `benchmarks.uci` as `python -m benchmarks.uci_fit uci DATA PEER SPLIT FILE`; leaves its
record in FILE.
"""

import time
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.fit import FITTED, NOT_FINITE, Task, run
from benchmarks.memory import peak_mib
from benchmarks.peers import REGRESSORS
from brenier.training.report import MeanAndError

# What a regressor's figures depend on.
PACKAGES = ("brenier", "jax", "ngboost", "numpy", "scikit-learn", "scipy")


def measure(task: Task) -> dict[str, Any]:
    """Return the record of one fit: test NLL (nats, target's units), coverage, seconds, memory."""
    rows = data.uci(task.data, task.seed)
    fit = REGRESSORS[task.peer].load()
    start = time.perf_counter()
    fitted = fit(rows, task.seed)
    record = {
        **asdict(task),
        "rows": [len(rows.y), len(rows.y_test)],
        "columns": rows.X.shape[1],
        "seconds": time.perf_counter() - start,
        "peak_mib": peak_mib(),
        "chosen": fitted.chosen,
        "versions": {name: version(name) for name in PACKAGES if find_spec(_module(name))},
    }
    log_density = np.asarray(fitted.log_density(rows.X_test, rows.y_test), dtype=float)
    ends = np.asarray(fitted.interval(rows.X_test), dtype=float)
    bad = int(np.sum(~np.isfinite(log_density) | ~np.isfinite(ends).all(axis=1)))
    if bad:
        message = f"{bad} of {len(log_density)} test rows without a finite log-density or interval"
        return {**record, "status": NOT_FINITE, "message": message}
    nll = MeanAndError.of(-log_density)
    covered = (ends[:, 0] <= rows.y_test) & (rows.y_test <= ends[:, 1])
    return {
        **record,
        "status": FITTED,
        "nll": nll.mean,
        "nll_error": nll.standard_error,
        "coverage": float(np.mean(covered)),
    }


def _module(package: str) -> str:
    return {"scikit-learn": "sklearn"}.get(package, package)


if __name__ == "__main__":
    run(measure)
