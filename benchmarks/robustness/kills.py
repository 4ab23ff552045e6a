"""Processes killed without warning: the writer of models, and fits."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.robustness.attempts import SEED
from benchmarks.robustness.tally import Tally
from brenier.io.model_file import ModelFileError, read_model, write_model
from brenier.io.table import write_table

# So many numbers are written that it takes a while, and the writer is killed within it (seconds).
N_NUMBERS, WITHIN = 100_000, 0.03
# A fit is killed within so many seconds; a whole one takes no longer than the limit.
OF_A_FIT, LIMIT = 6.0, 120.0
PRIVATE = 0o600
WRITER = """
import itertools, sys
import numpy as np
from brenier.io.model_file import write_model
print("begins", flush=True)
for k in itertools.count():
    write_model(sys.argv[1], {"k": k}, {"x": np.full(int(sys.argv[2]), float(k))})
"""
FIT = ("fit", "x.csv", "--widths", "8", "--max-iter", "60", "--n-estimators", "1")


def writers(cases: int, folder: Path) -> Tally:
    """Kill writers, one after the other, at one file that nobody else may read."""
    tally, rng = Tally(), np.random.default_rng(SEED)
    path = folder / "m.brenier"
    write_model(path, {"k": -1}, {"x": np.full(N_NUMBERS, -1.0)})
    path.chmod(PRIVATE)
    command = [sys.executable, "-c", WRITER, str(path), str(N_NUMBERS)]
    for case in range(cases):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0.0, WITHIN))
            process.kill()
        faults = [*_faults(path), *_traces(folder, {path.name}, at_most=1)]
        tally.add("broken" if faults else "worked", f"case {case}: {'; '.join(faults)}")
    write_model(path, {"k": 0}, {"x": np.zeros(N_NUMBERS)})
    if traces := _traces(folder, {path.name}):
        tally.add("broken", f"the next writer left {traces}")
    return tally


def fits(cases: int, folder: Path) -> Tally:
    """Kill fits, one after the other, that would replace a model; in the end one is whole."""
    tally, rng = Tally(), np.random.default_rng(SEED)
    known = {"x.csv", "x.brenier", "programs"}
    write_table(folder / "x.csv", rng.normal(size=(500, 2)), ["a", "b"])
    environment = {**os.environ, "BRENIER_CACHE": str(folder / "programs")}

    def begin() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "brenier", *FIT],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def whole() -> str:
        with begin() as process:
            code = process.wait(LIMIT)
        return "" if code == 0 else f"a whole fit ended with {code}"

    faults = [whole()]
    (folder / "x.brenier").chmod(PRIVATE)
    for case in range(cases):
        with begin() as process:
            time.sleep(rng.uniform(0.0, OF_A_FIT))
            process.kill()
        faults += [*_faults(folder / "x.brenier"), *_traces(folder, known, at_most=1)]
        faults = [fault for fault in faults if fault]
        tally.add("broken" if faults else "worked", f"case {case}: {'; '.join(faults)}")
        faults = []
    faults = [fault for fault in (whole(), *_traces(folder, known)) if fault]
    tally.add("broken" if faults else "worked", f"the last: {'; '.join(faults)}")
    return tally


def _faults(path: Path) -> list[str]:
    """Return what is wrong with a model file that somebody was killed at."""
    found = []
    try:
        _, arrays = read_model(path)
        if "x" in arrays and len(set(arrays["x"].tolist())) != 1:
            found.append("half of one model and half of another")
    except ModelFileError as error:
        found.append(str(error))
    if stat.S_IMODE(path.stat().st_mode) != PRIVATE:
        found.append(f"the mode {path.stat().st_mode:o}")
    return found


def _traces(folder: Path, known: set[str], at_most: int = 0) -> list[str]:
    """Return temporary files that are too many, or that others may read."""
    left = [path for path in folder.iterdir() if path.name not in known]
    open_ = [path.name for path in left if stat.S_IMODE(path.stat().st_mode) != PRIVATE]
    names = [path.name for path in left]
    return [f"left {names}"] * (len(left) > at_most) + [f"open to others: {open_}"] * bool(open_)
