"""Regression and classification beside peers: `python -m benchmarks.supervised`.

The losses of every method on the tables of `benchmarks.supervised_problems`, five splits or draws
each, methods as in `benchmarks.peers.predictors`. A loss is kept as soon as it is there, in
`benchmarks/results/supervised.json`, and not measured again: `--again` is for a method that has
changed. Methods that are not there yet are left out. `--seconds` measures default fits instead.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import log_loss

from benchmarks import data, report, summary
from benchmarks.accuracy import FAILED
from benchmarks.fit import FITTED, NOT_FINITE
from benchmarks.peers import predictors
from benchmarks.peers.predictors import Method
from benchmarks.report import Figure
from benchmarks.summary import Quantity, Records
from benchmarks.supervised_problems import (
    CLASSIFICATION,
    CONVEX,
    FORMS,
    NOISE,
    PROBLEMS,
    REGRESSION,
    SEEDS,
    UCI,
    Problem,
    Rows,
    convex_rows,
)

NAME, SECONDS = "supervised", "supervised_seconds"
# As much of a loss above the peer's as is still within reach, and on how many tables less is asked.
WITHIN, LEAST_BETTER = 1.1, 2
# A default fit: rows, columns, fits after the one that compiles, and the most seconds.
TIMED_ROWS, TIMED_COLUMNS, FITS, MOST_SECONDS = 1000, 8, 5, 3.0
TREES = "HistGradientBoosting"
OURS = ("VarProRegressor", "VarProClassifier", "ConvexFunctionRegressor")


@dataclass(frozen=True)
class Suite:
    """Problems of a kind: what is measured, by which methods, and what is said of it.

    Parameters
    ----------
    methods : mapping
        By name.
    ours : str
        The one that is compared with the others.
    below : tuple of str
        Those that its loss is to be below.
    loss : function of targets, predictions
        What is measured.
    title, text : str
        Of its table.
    """

    methods: Mapping[str, Method]
    ours: str
    below: tuple[str, ...]
    loss: Callable[[np.ndarray, np.ndarray], float]
    title: str
    text: str


def root_mean_square(y: np.ndarray, predicted: np.ndarray) -> float:
    """Return the root mean squared error."""
    return float(np.sqrt(np.mean((y - predicted) ** 2)))


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        REGRESSION: Suite(
            predictors.REGRESSORS,
            OURS[0],
            ("MLPRegressor", "MLPRegressor, best of 24"),
            root_mean_square,
            "Regression: root mean squared error",
            "Concrete, energy and yacht by the first five of their usual splits; Friedman's "
            "functions with 400 rows and noise as usual (standard deviation 1, or a third of the "
            "function's), 2,000 fresh rows with noise to test on.",
        ),
        CLASSIFICATION: Suite(
            predictors.CLASSIFIERS,
            OURS[1],
            (
                *("MLPClassifier", "MLPClassifier, best of 24"),
                *("LogisticRegression", "LogisticRegression, best C"),
            ),
            lambda y, probabilities: float(log_loss(y, probabilities)),
            "Classification: log loss (nats)",
            "Tables that come with scikit-learn, five splits, a fifth of the rows of each class "
            "to test on.",
        ),
        CONVEX: Suite(
            predictors.CONVEX,
            OURS[2],
            ("VarProRegressor", "convex least squares", "convex least squares, ridge"),
            root_mean_square,
            "Convex functions: root mean squared error",
            "Known functions with random constants, of standard deviation one on rows that are "
            f"uniform in a cube; noise of standard deviation {NOISE:g}; the error is that of the "
            "prediction against the function itself on 2,000 fresh rows.",
        ),
    }
)
"""By kind of problem."""
LOSS = Quantity("loss", "loss", 3, ranked=True)


def measured(problem: Problem, method: str, seed: int) -> dict[str, Any]:
    """Return the record of one fit: its loss, and what folds chose; an error is a record too."""
    suite = SUITES[problem.kind]
    task = {"data": problem.name, "peer": method, "seed": seed}
    rows = problem.rows(seed)
    try:
        fitted = suite.methods[method].fit(rows.X, rows.y, seed)
        predicted = np.asarray(fitted.predict(rows.X_test), dtype=float)
    # Whatever an estimator raises is what is to be told of it.
    except Exception as error:  # noqa: BLE001
        return {**task, "status": FAILED, "message": f"{type(error).__name__}: {error}"}
    if not np.isfinite(predicted).all():
        return {**task, "status": NOT_FINITE, "message": "predictions that are not finite"}
    loss = suite.loss(rows.y_test, predicted)
    chosen = {"chosen": fitted.chosen} if fitted.chosen else {}
    return {**task, "status": FITTED, "loss": loss, **chosen}


def run(problems: Sequence[str], methods: Sequence[str], again: Sequence[str], seeds: int) -> None:
    """Fit what is not kept yet, seed by seed, so that an interrupted run has some of all."""
    done = {
        (one["data"], one["peer"], one["seed"])
        for one in report.read(NAME)
        if one["status"] == FITTED and one["peer"] not in again
    }
    for seed in range(seeds):
        for problem, method in _pairs(problems, methods):
            if (problem.name, method, seed) not in done:
                record = measured(problem, method, seed)
                report.keep_record(NAME, record, ("data", "peer", "seed"))
                loss = f"{record['loss']:.4f}" if "loss" in record else record["message"]
                said = f"{problem.name}, {seed}, {method}"
                report.say(f"{said:70s} {loss} {record.get('chosen', '')}")


def _pairs(problems: Sequence[str], methods: Sequence[str]) -> Iterator[tuple[Problem, str]]:
    """Yield the problems and methods that can be measured here."""
    for name in problems:
        problem = PROBLEMS[name]
        if name in UCI and not data.UCI.is_dir():
            continue
        for method, settings in SUITES[problem.kind].methods.items():
            is_there = not settings.ours or predictors.is_there(method)
            if method in methods and is_there and _is_small_enough(problem, settings):
                yield problem, method


def _is_small_enough(problem: Problem, method: Method) -> bool:
    return method.most_rows is None or len(problem.rows(0).y) <= method.most_rows


def of_kind(records: Records, kind: str) -> Records:
    """Return the records of a kind of problem, in the order of problems, methods and seeds."""
    names, methods = list(PROBLEMS), list(SUITES[kind].methods)
    found = [
        one
        for one in records
        if one["data"] in PROBLEMS and PROBLEMS[one["data"]].kind == kind and one["peer"] in methods
    ]
    return sorted(
        found,
        key=lambda one: (names.index(one["data"]), methods.index(one["peer"]), one["seed"]),
    )


def over_forms(records: Records) -> Records:
    """Return mean losses over the kinds of convex functions, where a method was fitted to all."""
    losses: dict[tuple[str, str, int], list[float]] = {}
    for one in records:
        if one["status"] == FITTED:
            _, size = one["data"].split(", ", 1)
            losses.setdefault((size, one["peer"], one["seed"]), []).append(one["loss"])
    return [
        {"data": size, "peer": peer, "seed": seed, "status": FITTED, "loss": float(np.mean(found))}
        for (size, peer, seed), found in losses.items()
        if len(found) == len(FORMS)
    ]


def figures(records: Records) -> Iterator[Figure]:
    """Yield what was asked of brenier's estimators, beside what was measured.

    Means are over the seeds that both have.
    """
    for kind, suite in SUITES.items():
        found = of_kind(records, kind)
        found = over_forms(found) if kind == CONVEX else found
        better = []
        for name in dict.fromkeys(one["data"] for one in found):
            for peer in suite.below:
                pair = _pair(found, name, suite.ours, peer)
                if pair is not None:
                    yield Figure(f"{name}: {suite.ours}", *pair.means, f"below {peer}{pair.seeds}")
            trees = _pair(found, name, suite.ours, TREES) if kind == REGRESSION else None
            if trees is not None:
                ours, theirs = trees.means
                what = f"within 10 % of {TREES}{trees.seeds}"
                yield Figure(f"{name}: {suite.ours}", ours, WITHIN * theirs, what)
                better.append(ours < theirs)
        if better:
            what = f"tables of {len(better)} with an error below {TREES}'s"
            yield Figure(what, sum(better), LEAST_BETTER, least=True)


class _Pair(NamedTuple):
    """Mean losses of two methods over the seeds that both have."""

    means: tuple[float, float]
    n_seeds: int

    @property
    def seeds(self) -> str:
        """How many there are, if fewer than are asked for."""
        return "" if self.n_seeds == SEEDS else f" ({self.n_seeds} of {SEEDS} seeds)"


def _pair(records: Records, name: str, ours: str, peer: str) -> _Pair | None:
    """Return the losses of two methods on a table, None where no seed is common to them."""
    by_seed = [
        {
            one["seed"]: one["loss"]
            for one in records
            if (one["data"], one["peer"], one["status"]) == (name, method, FITTED)
        }
        for method in (ours, peer)
    ]
    common = sorted(by_seed[0].keys() & by_seed[1].keys())
    if not common:
        return None
    own, other = (float(np.mean([losses[seed] for seed in common])) for losses in by_seed)
    return _Pair((own, other), len(common))


def show(records: Records) -> None:
    """Print the tables and the figures that have a target."""
    console = Console(width=summary.WIDTH)
    for kind, suite in SUITES.items():
        found = of_kind(records, kind)
        if found:
            methods = _methods(found, suite)
            table = Table("", *methods, title=suite.title)
            for line in summary.lines(found, LOSS):
                table.add_row(line.data, *(line.cells.get(method, "") for method in methods))
            console.print(table)
    for figure in figures(records):
        report.say(str(figure))


def markdown(records: Records) -> list[str]:
    """Return the lines of a section of the documentation's page of figures."""
    lines = [
        "## Regression and classification",
        "",
        "Mean and standard deviation over five splits or draws, or over as many as are in "
        "brackets; of those over five the best in bold. What is chosen is chosen by training rows "
        "only, and convergence warnings of peers are not listened to "
        "(`python -m benchmarks.supervised`).",
    ]
    for kind, suite in SUITES.items():
        found = of_kind(records, kind)
        methods = _methods(found, suite)
        if found:
            lines += ["", f"### {suite.title}", "", suite.text, ""]
            lines += [f"- **{name}**: {suite.methods[name].treatment}" for name in methods]
            lines += ["", *_table(found, methods), *_failures(found)]
        if kind == CONVEX and over_forms(found):
            lines += ["", "Means over the functions:", "", *_table(over_forms(found), methods)]
    timed = report.read(SECONDS)
    for figure in timed:
        lines += ["", f"{figure['what']}: {figure['measured']:.2f} s ({figure['detail']})."]
    return lines


def _methods(records: Records, suite: Suite) -> list[str]:
    return [name for name in suite.methods if name in summary.peers_in(records)]


def _table(records: Records, methods: Sequence[str]) -> list[str]:
    """Return a table whose columns are the methods in their order, whatever was measured first."""
    lines = [f"| | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    whole = [one for one in records if _n_seeds(records, one["data"], one["peer"]) == SEEDS]
    best = {line.data: line.best for line in summary.lines(whole, LOSS)}
    for line in summary.lines(records, LOSS):
        cells = []
        for method in methods:
            text, n = line.cells.get(method, ""), _n_seeds(records, line.data, method)
            text += f" ({n})" * (0 < n < SEEDS)
            cells.append(f"**{text}**" if method in best.get(line.data, ()) else text)
        lines.append(f"| {line.data} | {' | '.join(cells)} |")
    return lines


def _n_seeds(records: Records, name: str, method: str) -> int:
    """Return on how many splits or draws of a table a method was measured."""
    return sum((one["data"], one["peer"]) == (name, method) for one in records)


def _failures(records: Records) -> list[str]:
    failed = [one for one in records if "message" in one]
    lines = [f"- {one['data']}, {one['peer']}, {one['seed']}: `{one['message']}`" for one in failed]
    return ["", "Fits without a result:", "", *lines] if lines else []


def timed_rows(name: str) -> Rows:
    """Return the rows of a timed fit: a convex function with noise; its sign is a class."""
    rows = convex_rows("log-sum-exp", TIMED_COLUMNS, TIMED_ROWS, 0)
    return rows._replace(y=rows.y > 0) if name == OURS[1] else rows


def seconds() -> Iterator[Figure]:
    """Yield the seconds of default fits of 1,000 x 8 in one process, compiled before."""
    for name in filter(predictors.is_there, OURS):
        rows, spent = timed_rows(name), []
        for seed in range(FITS + 1):
            begun = time.perf_counter()
            predictors.load(name)(random_state=seed).fit(rows.X, rows.y)
            spent.append(time.perf_counter() - begun)
        what = f"{name}, default fit of {TIMED_ROWS:,} x {TIMED_COLUMNS}, compiled"
        detail = f"median of {FITS}, {min(spent[1:]):.2f} to {max(spent[1:]):.2f}"
        yield Figure(what, float(np.median(spent[1:])), MOST_SECONDS, detail)


def main() -> None:
    """Measure what is asked for, all by default."""
    methods = list(dict.fromkeys(name for suite in SUITES.values() for name in suite.methods))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=list(SUITES), default=list(SUITES))
    parser.add_argument("--only", nargs="+", choices=list(PROBLEMS), metavar="DATA")
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--again", nargs="+", choices=methods, default=[])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--seconds", action="store_true", help="measure seconds of default fits")
    parser.add_argument("--show", action="store_true", help="show what is kept, measure nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.seconds:
        report.measure(SECONDS, {"seconds": seconds})
        return
    if not arguments.show:
        problems = arguments.only or [
            name for name, problem in PROBLEMS.items() if problem.kind in arguments.kinds
        ]
        run(problems, arguments.methods, arguments.again, arguments.seeds)
    show(report.read(NAME))


if __name__ == "__main__":
    main()
