"""What variable projection buys conditional, block-triangular and composed flows.

`python -m benchmarks.elimination`, from the repository's root.

Each is trained with the last layer's weights eliminated and, from the same initial weights, with
these trained along with all others: L-BFGS against L-BFGS, Adam against Adam, with equal work
units (`brenier.varpro.function.Counters`: passes of single samples, forward and backward). A unit
does not count the inner solver's steps; the seconds, compilation left out, do. One potential, one
start, one weight decay, no noise, and no early stopping; the best iterate on the held-out rows is
returned. Seeds are those of rows and initial weights. Where a run ends before its units are spent,
what it has reached stays.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks import data, report
from benchmarks.curves import Curve
from benchmarks.elimination_chart import draw
from benchmarks.summary import Records
from brenier import (
    Algorithm,
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    TriangularConvexPotentialFlow,
)
from brenier.data.datasets import Moons
from brenier.reproduce.runs import Recorder
from brenier.training.report import FitReport

NAME = "elimination"
# In the documentation.
IMAGE = f"benchmark_{NAME}.png"
# Optimizers with elimination, and without.
PAIRS = {"L-BFGS": ("lbfgs-varpro", "lbfgs-full"), "Adam": ("adam-varpro", "adam")}
SEEDS = 3
DECAY = 1e-4
# No limit but the work units.
ENDLESS = 10**6
LOTKA_VOLTERRA = "lotka_volterra"
# Characters of a printed line.
WIDE = 200
COLUMNS = (
    "flow",
    "optimizer",
    "test NLL: with",
    "without",
    "train: with",
    "without",
    "held out: with",
    "without",
    "units: with",
    "without",
    "seconds: with",
    "without",
)
DESCRIPTION = (
    "Test NLL is of the model that is returned. Training and held-out log-likelihood are the best "
    "so far at equal work units. Units are those after which the held-out log-likelihood is as "
    "high as the worse of the two ends with. All in nats per row, mean and standard deviation over "
    "seeds; units and seconds are means, the latter of the whole run without compilation. The "
    "weight decay is 1e-4 everywhere, less than conditional flows have by default: they can "
    "overfit, and then a run that fits the training rows better is no better on others."
)


class Outcome(NamedTuple):
    """A fit: its curve, the returned model's test NLL, the Gaussian's held-out log-likelihood.

    `seconds` are those of its runs without compilation, `status` how the last of them ended.
    """

    curve: Curve
    test_nll: float
    gaussian: float
    seconds: float
    status: str


Fit = Callable[[str, int, int], Iterator[tuple[str, Outcome]]]
"""Fits with an optimizer, a seed and a budget of work units; yields flows by name."""


@dataclass(frozen=True)
class Problem:
    """What is fitted, and with how many work units a run, by the names of `PAIRS`."""

    fit: Fit
    budgets: dict[str, int]


def skewed(N: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two columns and a target whose centre, scale and skewness depend on them."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, size=(N, 2))
    noise = rng.gumbel(size=N) * np.sign(X[:, 0]) + 0.5 * rng.normal(size=N)
    return X, np.sin(3.0 * X[:, 0]) + 0.3 * np.exp(X[:, 1]) * noise


def bent(N: int, seed: int) -> np.ndarray:
    """Return rows of four columns, the last two bent by the first two, which are moons."""
    first = Moons().sample(N, random_state=seed)
    noise = np.random.default_rng(seed).normal(size=(N, 2))
    return np.column_stack([first, first**2 + (0.2 + 0.2 * np.abs(first)) * noise])


def conditional(optimizer: str, seed: int, budget: int) -> Iterator[tuple[str, Outcome]]:
    """Fit a target given two columns: 1000 rows to train on."""
    train, valid, test = (skewed(N, 3 * seed + i) for i, N in enumerate((1000, 1000, 5000)))
    flow = ConditionalConvexPotentialFlow(**_settings(optimizer, seed, budget))
    flow.fit(*train, validation_data=valid)
    name = "conditional: a target given 2 columns"
    yield name, _outcome([flow.report_], Curve.of_report(flow.report_), flow.score(*test))


def triangular(
    rows: Callable[[int], tuple[np.ndarray, np.ndarray]],
    name: str,
    optimizer: str,
    seed: int,
    budget: int,
) -> Iterator[tuple[str, Outcome]]:
    """Fit a table's first half, then the second half given the first, a flow in itself."""
    X, test = rows(seed)
    half = X.shape[1] // 2
    settings = _settings(optimizer, seed, budget) | {"validation_fraction": 1 / 3}
    flow = TriangularConvexPotentialFlow(
        [list(range(half)), list(range(half, X.shape[1]))],
        leading=ConvexPotentialFlow(**settings, noise=0.0),
        following=ConditionalConvexPotentialFlow(**settings),
    ).fit(X)
    reports = [block.report_ for block in flow.flows_]
    curves = [Curve.of_report(fit) for fit in reports]
    context = pl.from_numpy(test[:, :half], schema=flow.blocks_[0])
    of_last = flow.flows_[1].score(context, test[:, half:])
    yield f"conditional: {name}, 2nd half given 1st", _outcome(reports[1:], curves[1], of_last)
    whole = Curve.of_blocks(curves)
    yield f"block-triangular: {name}", _outcome(reports, whole, flow.score(test))


def composed(optimizer: str, seed: int, budget: int) -> Iterator[tuple[str, Outcome]]:
    """Fit moons by two maps; each by itself has 60 iterations, both together the budget."""
    rows = data.drawn(Moons(), (1024, 1000, 5000), seed)
    flow = ConvexPotentialFlow(**_settings(optimizer, seed, budget), n_maps=2, noise=0.0)
    recorder = Recorder(2)
    flow.fit(rows.train, validation_data=rows.valid, callback=recorder)
    h, log_2_pi = recorder.history, np.log(2 * np.pi)
    train, heldout = (-np.array(h[part]) - log_2_pi for part in ("train", "validation"))
    curve = Curve.of(h["work_units"], train, heldout)
    yield "composed: moons, 2 maps", _outcome([flow.report_], curve, flow.score(rows.test))


def _settings(optimizer: str, seed: int, budget: int) -> dict[str, Any]:
    return {
        "algorithm": Algorithm(optimizer=optimizer, max_work_units=budget),
        "decay": DECAY,
        "n_init": 1,
        "n_estimators": 1,
        "max_iter": ENDLESS,
        "n_iter_no_change": ENDLESS,
        "random_state": seed,
    }


def _outcome(fits: Sequence[FitReport], curve: Curve, score: float) -> Outcome:
    return Outcome(
        curve,
        -score,
        sum(fit.gaussian_heldout_log_likelihood for fit in fits),
        sum(fit.seconds["runs"] - fit.seconds["compile"] for fit in fits),
        fits[-1].status.value,
    )


def _posterior(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = data.posterior(LOTKA_VOLTERRA, seed)
    return np.concatenate([rows.train, rows.valid]), rows.test


def _bent(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return bent(3000, 2 * seed), bent(5000, 2 * seed + 1)


def problems(share: float = 1.0) -> dict[str, Problem]:
    """Return what is fitted, with a share of the usual work units."""
    there = data.POSTERIORS.is_dir()
    rows, name = (_posterior, LOTKA_VOLTERRA) if there else (_bent, "4 synthetic columns")
    usual = {
        "conditional": (conditional, 300_000, 100_000),
        "triangular": (partial(triangular, rows, name), 300_000, 100_000),
        "composed": (composed, 200_000, 40_000),
    }
    # A step of Adam sees few rows: the same units take ten times as long.
    return {
        key: Problem(fit, {"L-BFGS": int(share * lbfgs), "Adam": int(share * adam)})
        for key, (fit, lbfgs, adam) in usual.items()
    }


def run(folder: Path, share: float = 1.0, seeds: int = SEEDS, only: Sequence[str] = ()) -> Records:
    """Fit everything, print the table, leave elimination.json and .png in the folder."""
    records: Records = []
    chosen = [problem for key, problem in problems(share).items() if key in (only or [key])]
    for seed in range(seeds):
        for problem in chosen:
            for record in _records(problem, seed):
                records.append(record)
                report.say(_line(record))
            # What there is, should the run be interrupted.
            report.write(NAME, records, folder)
    draw(records, folder / f"{NAME}.png")
    show(records)
    report.say(f"{NAME}.json and {NAME}.png written to {folder}")
    return records


def _records(problem: Problem, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the records of a problem's fits from a seed."""
    for method, pair in PAIRS.items():
        budget = problem.budgets[method]
        for optimizer in pair:
            with warnings.catch_warnings():
                # How fits end is in their records.
                warnings.simplefilter("ignore")
                fits = list(problem.fit(optimizer, seed, budget))
            yield from (_record(flow, optimizer, seed, budget, outcome) for flow, outcome in fits)


def _record(flow: str, optimizer: str, seed: int, budget: int, outcome: Outcome) -> dict[str, Any]:
    curve = {key: np.round(value, 5).tolist() for key, value in asdict(outcome.curve).items()}
    plain = outcome._replace(curve=curve)._asdict()
    return {"flow": flow, "optimizer": optimizer, "seed": seed, "budget": budget, **plain}


def _line(record: dict[str, Any]) -> str:
    curve = record["curve"]
    return (
        f"{record['flow']:48s} {record['optimizer']:13s} seed {record['seed']}  "
        f"test NLL {record['test_nll']:8.4f}  train {curve['train'][-1]:8.4f}  "
        f"held out {curve['heldout'][-1]:8.4f}  {curve['units'][-1]:9.0f} units  "
        f"{record['seconds']:6.1f} s  {record['status']}"
    )


@dataclass(frozen=True)
class Comparison:
    """Runs of a flow with and without elimination, seed by seed; both in that order."""

    flow: str
    method: str
    test_nll: np.ndarray
    train: np.ndarray
    heldout: np.ndarray
    units: np.ndarray
    seconds: np.ndarray

    @staticmethod
    def of(flow: str, method: str, pairs: Sequence[tuple[dict, dict]]) -> "Comparison":
        """Return the comparison of records with and without elimination from the same seeds."""
        reached, units = [], []
        for pair in pairs:
            curves = [Curve(**{k: np.array(v) for k, v in one["curve"].items()}) for one in pair]
            spent = min(curve.units[-1] for curve in curves)
            reached.append([curve.at(spent) for curve in curves])
            worse = min(curve.heldout[-1] for curve in curves)
            units.append([curve.units_to(worse) for curve in curves])
        train, heldout = np.moveaxis(np.array(reached), -1, 0)

        def field(name: str) -> np.ndarray:
            return np.array([[one[name] for one in pair] for pair in pairs])

        return Comparison(
            flow, method, field("test_nll"), train, heldout, np.array(units), field("seconds")
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """What `COLUMNS` name, as text."""
        losses = (self.test_nll, self.train, self.heldout)
        spread = [_spread(values) for both in losses for values in both.T]
        units = [f"{mean:,.0f}" for mean in self.units.mean(axis=0)]
        seconds = [f"{mean:.1f}" for mean in self.seconds.mean(axis=0)]
        return self.flow, self.method, *spread, *units, *seconds


def _spread(values: np.ndarray) -> str:
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def comparisons(records: Records) -> list[Comparison]:
    """Return every flow's runs with and without elimination, of seeds that have both."""
    found = {(one["flow"], one["optimizer"], one["seed"]): one for one in records}
    compared = []
    for flow in dict.fromkeys(one["flow"] for one in records):
        for method, (with_, without) in PAIRS.items():
            seeds = [seed for f, optimizer, seed in found if (f, optimizer) == (flow, with_)]
            pairs = [
                (found[flow, with_, seed], found[flow, without, seed])
                for seed in seeds
                if (flow, without, seed) in found
            ]
            if pairs:
                compared.append(Comparison.of(flow, method, pairs))
    return compared


def show(records: Records) -> None:
    """Print the table."""
    table = Table(*COLUMNS, title="With and without variable projection")
    for comparison in comparisons(records):
        table.add_row(*comparison.cells)
    Console(width=WIDE).print(table)


def markdown(records: Records) -> list[str]:
    """Return the lines of a section of the documentation's page of figures."""
    return [
        "## With and without variable projection",
        "",
        DESCRIPTION,
        "",
        f"![Held-out loss against work units](images/{IMAGE})",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
        *(f"| {' | '.join(comparison.cells)} |" for comparison in comparisons(records)),
    ]


def main() -> None:
    """Measure all flows, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(problems()), default=[])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual work units")
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS, metavar="FOLDER")
    arguments = parser.parse_args()
    report.say(" ".join(f"{key}={value}" for key, value in report.machine().items()))
    run(arguments.output, arguments.share, arguments.seeds, arguments.only)


if __name__ == "__main__":
    main()
