"""Write the files of the guide's section on files: `python docs/example_files.py FOLDER`.

They hold the draws of `examples/garch11.csv` as other programs write them.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

DRAWS = Path(__file__).parents[1] / "examples" / "garch11.csv"
NAMES = ("mu", "alpha0", "alpha1", "beta1")
CHAINS = 4
MISSING = ("alpha0", 10), ("beta1", 11)


def write(folder: Path) -> None:
    """Write all files."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.read_csv(DRAWS).select(NAMES)
    write_mixed(folder / "mixed.csv", frame)
    for number, part in enumerate(np.split(frame.to_numpy(), CHAINS), 1):
        write_stan(folder / f"garch_{number}.csv", part)
    write_cobaya(folder / "garch.1.txt", frame.to_numpy())
    write_missing(folder / "missing.csv", frame)


def write_mixed(path: Path, frame: pl.DataFrame) -> None:
    """Write seven columns, an id, a name and a date among them."""
    n = frame.height
    days = pl.date_range(pl.date(2010, 1, 1), pl.date(2030, 1, 1), eager=True)[:n]
    names = pl.Series([f"run {j % 7}" for j in range(n)])
    others = frame.select(
        pl.int_range(n).alias("id"), names.alias("name"), "mu", "alpha0", days.alias("day")
    )
    others.with_columns(frame["alpha1"], frame["beta1"]).write_csv(path)


def write_stan(path: Path, draws: np.ndarray) -> None:
    """Write a chain as CmdStan does: with columns of its own, and comments."""
    own = np.column_stack([-0.5 * (draws**2).sum(axis=1), np.full((len(draws), 2), 0.9)])
    header = ",".join(["lp__", "accept_stat__", "stepsize__", *NAMES])
    with path.open("w") as file:
        file.write(f"# model = garch11\n{header}\n# Adaptation terminated\n# Step size = 0.9\n")
        np.savetxt(file, np.column_stack([own, draws]), delimiter=",", fmt="%.8g")
        file.write("# \n#  Elapsed Time: 0.1 seconds (Sampling)\n")


def write_cobaya(path: Path, draws: np.ndarray) -> None:
    """Write a chain as Cobaya does: weights and minus log-posteriors before the parameters."""
    weights = 1 + np.arange(len(draws)) % 3
    rows = np.column_stack([weights, 0.5 * (draws**2).sum(axis=1), draws])
    header = "  ".join(["weight", "minuslogpost", *NAMES])
    np.savetxt(path, rows, delimiter="  ", fmt="%.8g", header=header)


def write_missing(path: Path, frame: pl.DataFrame) -> None:
    """Write a table with two missing values."""
    for name, row in MISSING:
        there = pl.int_range(pl.len()) != row
        frame = frame.with_columns(pl.when(there).then(name).alias(name))
    frame.write_csv(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
