"""The accuracy of one brenier against another's, on the same splits: `python -m benchmarks.paired`.

    python -m benchmarks.paired measure --label new -o new.json
    PYTHONPATH=OTHER/src:. python -m benchmarks.paired measure --label old -o old.json
    python -m benchmarks.paired from-results -o old.json
    python -m benchmarks.paired compare old.json new.json

`measure` makes default fits with whichever brenier Python finds, older ones too; what is already in
the file is left as it is, so that an interrupted run goes on. `from-results` makes such a file from
benchmarks/results instead. `compare` says how much worse the second is than the first (nats a row,
paired by split), beside the most that is allowed, and ends with code 1 where that is exceeded.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np

from benchmarks import data, report

# Most that the mean over all sets, and that any one of them, may be worse by (nats a row); to each
# come so many paired standard errors.
MOST_MEAN, MOST_SET, ERRORS = 0.003, 0.01, 2.0
PEER, FITTED = "brenier", "fitted"
RESULTS = ("posteriors", "moons", "uci")
MOONS = "moons-1024"
UCI = ("concrete", "energy", "yacht")
# Where the known distributions are, in today's brenier and in older ones.
HOMES_OF_MOONS = ("brenier.data.datasets", "brenier.datasets")


@dataclass(frozen=True)
class Record:
    """One fit: the mean log-likelihood of its test rows (nats a row), and its seconds.

    Of fits measured here, the seconds have compilation in them where the fit is the first of its
    set in a process.
    """

    set: str
    split: int
    mean: float
    seconds: float
    first: bool | None = None


@dataclass(frozen=True)
class DataSet:
    """So many splits, and what fits one of them: (split) -> log-likelihoods of test rows."""

    splits: int
    fit: Callable[[int], tuple[np.ndarray, float]]


def _joint(rows: Callable[[int], data.Split], split: int) -> tuple[np.ndarray, float]:
    """Return the log-likelihoods of test rows, and the seconds of the fit."""
    from brenier import ConvexPotentialFlow

    train, valid, test = rows(split)
    start = time.perf_counter()
    flow = ConvexPotentialFlow(random_state=split).fit(train, validation_data=valid)
    return flow.score_samples(test), time.perf_counter() - start


def _given_features(name: str, split: int) -> tuple[np.ndarray, float]:
    """Return the same of a target given its features."""
    from brenier import ConditionalConvexPotentialFlow

    rows = data.uci(name, split)
    start = time.perf_counter()
    flow = ConditionalConvexPotentialFlow().fit(rows.X, rows.y)
    return flow.score_samples(rows.X_test, rows.y_test), time.perf_counter() - start


def _moons(split: int) -> data.Split:
    """Return the rows of `benchmarks.data.moons`, whichever brenier is there."""
    for module in HOMES_OF_MOONS:
        try:
            truth = import_module(module).Moons()
        except ModuleNotFoundError:
            continue
        return data.drawn(truth, (1024, 5000, 5000), split)
    raise ModuleNotFoundError(f"Expected Moons in {' or '.join(HOMES_OF_MOONS)}.")


SETS: dict[str, DataSet] = {
    **{
        name: DataSet(3, partial(_joint, partial(data.posterior, name)))
        for name in data.POSTERIOR_NAMES
    },
    MOONS: DataSet(10, partial(_joint, _moons)),
    **{name: DataSet(5, partial(_given_features, name)) for name in UCI},
}


def read(file: Path) -> list[Record]:
    """Return a file's records; none where there is no file."""
    return (
        [Record(**one) for one in json.loads(file.read_text())["records"]] if file.exists() else []
    )


def write(file: Path, label: str, records: Sequence[Record]) -> None:
    """Write records with the machine; the file appears whole or not at all."""
    kept = {"label": label, "machine": report.here(), "records": [asdict(one) for one in records]}
    part = file.with_name(f"{file.name}.part")
    part.write_text(json.dumps(kept, indent=1) + "\n")
    part.replace(file)


def to_do(names: Sequence[str], splits: int | None, done: Sequence[Record]) -> Iterator[Any]:
    """Yield sets and splits without a record, split by split: something of everything early."""
    there = {(one.set, one.split) for one in done}
    most = max(SETS[name].splits for name in names)
    for split in range(most if splits is None else splits):
        for name in names:
            if split < SETS[name].splits and (name, split) not in there:
                yield name, split


def measure(file: Path, label: str, names: Sequence[str], splits: int | None) -> None:
    """Fit what the file does not have, and add it."""
    records, begun = read(file), set()
    for name, split in to_do(names, splits, records):
        log_likelihoods, seconds = SETS[name].fit(split)
        mean = float(np.mean(log_likelihoods))
        records.append(Record(name, split, mean, seconds, first=name not in begun))
        begun.add(name)
        write(file, label, records)
        report.say(f"{name}, split {split}: {mean:.5f} in {seconds:.1f} s")


def from_results(folder: Path) -> list[Record]:
    """Return the records that the accuracy suites have left of brenier with its defaults."""
    return [
        Record(one["data"], one["seed"], -one["nll"], one["seconds"])
        for name in RESULTS
        for one in report.read(name, folder)
        if (one["peer"], one["status"]) == (PEER, FITTED) and one["data"] in SETS
    ]


@dataclass(frozen=True)
class Difference:
    """How much worse the second is than the first, on a set or in the mean of all.

    Attributes
    ----------
    worse, error : float
        Nats a row, and the standard error over splits; NaN where one split is all.
    limit : float
        What it may be worse by, apart from its standard errors.
    seconds : tuple of float
        Median seconds of a fit, of the first and of the second.
    """

    name: str
    splits: int
    worse: float
    error: float
    limit: float
    seconds: tuple[float, float]

    @property
    def allowed(self) -> float:
        """What it may be worse by."""
        return self.limit + (0.0 if np.isnan(self.error) else ERRORS * self.error)

    def __str__(self) -> str:
        mark = "ok" if self.worse <= self.allowed else "WORSE"
        error = "" if np.isnan(self.error) else f"+- {self.error:.5f}"
        return (
            f"{self.name:28s} {self.splits:3d} splits {self.worse:+9.5f} {error:10s}  "
            f"allowed {self.allowed:7.5f}  {mark:5s}  {self.seconds[0]:7.1f} s, then "
            f"{self.seconds[1]:.1f} s"
        )


def differences(old: Sequence[Record], new: Sequence[Record]) -> list[Difference]:
    """Return the difference of every set on the splits that both have."""
    first, second = ({(one.set, one.split): one for one in records} for records in (old, new))
    both = [key for key in first if key in second]
    return [
        _difference(name, [(first[key], second[key]) for key in both if key[0] == name])
        for name in dict.fromkeys(name for name, _ in both)
    ]


def _difference(name: str, pairs: Sequence[tuple[Record, Record]]) -> Difference:
    worse = [old.mean - new.mean for old, new in pairs]
    error = stdev(worse) / len(worse) ** 0.5 if len(worse) > 1 else float("nan")
    old_seconds, new_seconds = (
        median(one.seconds for one in side) for side in zip(*pairs, strict=True)
    )
    return Difference(name, len(pairs), fmean(worse), error, MOST_SET, (old_seconds, new_seconds))


def mean_of(found: Sequence[Difference]) -> Difference:
    """Return the mean over sets, each of the same weight; sets of one split have no error."""
    errors = [one.error for one in found if not np.isnan(one.error)]
    error = sum(e**2 for e in errors) ** 0.5 / len(found) if errors else float("nan")
    seconds = tuple(fmean(one.seconds[side] for one in found) for side in (0, 1))
    return Difference(
        "mean of sets",
        sum(one.splits for one in found),
        fmean(one.worse for one in found),
        error,
        MOST_MEAN,
        (seconds[0], seconds[1]),
    )


def compare(old: Path, new: Path) -> bool:
    """Print all differences; return whether all are allowed."""
    found = differences(read(old), read(new))
    if not found:
        raise SystemExit("Expected files with splits in common; got none.")
    found.append(mean_of(found))
    report.say(f"How much worse {new.stem} is than {old.stem}, nats a row; below zero it is better")
    for one in found:
        report.say(str(one))
    return all(one.worse <= one.allowed for one in found)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "benchmarks.paired", description=__doc__, formatter_class=plain
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("measure", help="fit what FILE does not have")
    make.add_argument("--label", required=True, help="what this brenier is called")
    make.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    make.add_argument("--splits", type=int, help="the first so many only")
    convert = commands.add_parser(
        "from-results", help="make FILE from the accuracy suites' results"
    )
    convert.add_argument("--folder", type=Path, default=report.RESULTS)
    convert.add_argument("--label", default="results")
    for command in (make, convert):
        command.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    pair = commands.add_parser("compare", help="say how much worse NEW is than OLD")
    pair.add_argument("old", type=Path)
    pair.add_argument("new", type=Path)
    return parser


def main() -> None:
    """Do what the command line says."""
    arguments = _parser().parse_args()
    warnings.simplefilter("ignore")
    if arguments.command == "measure":
        measure(arguments.output, arguments.label, arguments.sets, arguments.splits)
    elif arguments.command == "from-results":
        write(arguments.output, arguments.label, from_results(arguments.folder))
    else:
        sys.exit(0 if compare(arguments.old, arguments.new) else 1)


if __name__ == "__main__":
    main()
