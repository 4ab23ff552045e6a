"""Posteriors from simulations: `python -m benchmarks.sbi`, from the repository's root.

brenier and neural posterior estimation (NPE) learn p(theta | x) from the same simulations. Then, at
ten observations, a classifier tries to tell their draws from as many of the exact posterior: its
accuracy (C2ST) is 0.5 for a perfect posterior, 1 for one that is wrong everywhere. Observations are
drawn once for each task, from the prior and the simulator; none is left out.

Figures are kept after every fit, and an interrupted run goes on where it was; delete sbi.json to
measure anew.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from examples.c2st import c2st
from examples.simulators import SIMULATORS

from benchmarks import report, summary
from benchmarks.fit import FITTED
from benchmarks.peers import Peer
from benchmarks.peers.protocol import Posterior, Simulations
from brenier.status import FitStatus

ROWS = (1000, 10_000)
N_OBSERVATIONS, N_DRAWS = 10, 1000
OBSERVATION_SEED = 2021

DESCRIPTION = (
    "Draws of p(theta | x) at ten observations, learnt from simulations, against as many of the "
    "exact posterior: the accuracy of a classifier (C2ST), 0.5 for a perfect posterior; mean and "
    "standard deviation over the observations. A cell without a figure was not measured; seconds "
    "are from a core shared with other jobs. The published figures are on other observations."
)

PEERS = {
    "brenier": Peer(
        "convex",
        "posterior",
        (),
        "`ConditionalConvexPotentialFlow(bounds=box, random_state=seed).fit(x, theta)`: the "
        "defaults, and the prior's box.",
    ),
    "brenier-composed": Peer(
        "convex",
        "composed_posterior",
        (),
        "`ConditionalConvexPotentialFlow(n_maps=2, random_state=seed).fit(x, theta)`: two maps, "
        "the defaults; draws outside of the prior's box are thrown away and made anew.",
    ),
    "npe": Peer(
        "npe",
        "npe",
        ("torch", "zuko"),
        "zuko's neural spline flow of theta given x: autoregressive, 3 transforms of 8 bins, "
        "hidden layers 64, 64. A tenth of the simulations held out; batches of 128, Adam with the "
        "learning rates 1e-3, 3e-3, 1e-2, each dropped twice to a third after 20 epochs without "
        "improvement; all of it on theta, with draws outside of the box made anew, and on the "
        "logits of theta's place in the box. The best of the six by held-out density. Standardised "
        "theta and x, float32, one thread.",
    ),
}

C2ST = summary.Quantity("c2st", "C2ST", 3, ranked=True)
SECONDS = summary.Quantity("seconds", "Seconds of the whole fit", 0, ranked=False)
# NPE's mean C2ST in sbibm (Lueckmann et al. 2021), on observations of its own.
PUBLISHED = {
    ("two_moons", 1000): 0.73,
    ("two_moons", 10_000): 0.61,
    ("slcp", 1000): 0.98,
    ("slcp", 10_000): 0.90,
}


@dataclass(frozen=True)
class Fit:
    """Which peer learns from which simulations."""

    task: str
    rows: int
    seed: int
    peer: str


@dataclass(frozen=True)
class Choice:
    """What to measure, and brenier's `max_seconds`."""

    tasks: tuple[str, ...]
    rows: tuple[int, ...]
    seeds: tuple[int, ...]
    peers: tuple[str, ...]
    max_seconds: float | None = None

    def fits(self) -> Iterator[Fit]:
        """Yield the fits, the small ones of all tasks first."""
        for seed in self.seeds:
            for rows in self.rows:
                for task in self.tasks:
                    yield from (Fit(task, rows, seed, peer) for peer in self.peers)


@dataclass(frozen=True)
class Observation:
    """Data x, (q,), and draws of the exact posterior given them, (N_DRAWS, n)."""

    x: np.ndarray
    exact: np.ndarray


def simulations(task: str, rows: int, seed: int) -> Simulations:
    """Return simulations of a task, the same for every peer."""
    simulator, generator = SIMULATORS[task], np.random.default_rng([seed, rows])
    theta = simulator.prior(rows, generator)
    return Simulations(theta, simulator.simulate(theta, generator), simulator.bounds)


def observations(task: str) -> list[Observation]:
    """Return the observations of a task, always the same."""
    simulator, generator = SIMULATORS[task], np.random.default_rng(OBSERVATION_SEED)
    X = simulator.simulate(simulator.prior(N_OBSERVATIONS, generator), generator)
    return [Observation(x, simulator.posterior(x, N_DRAWS, generator)) for x in X]


def measure(fit: Fit, max_seconds: float | None = None) -> list[dict[str, Any]]:
    """Fit, and return a record of every observation."""
    given = simulations(fit.task, fit.rows, fit.seed)
    learn = PEERS[fit.peer].load()
    criteria = {"max_seconds": max_seconds} if fit.peer.startswith("brenier") else {}
    start = time.perf_counter()
    posterior = learn(given, fit.seed, **criteria)
    seconds = time.perf_counter() - start
    shared = {
        **asdict(fit),
        "data": _name(fit.task, fit.rows),
        "status": FITTED,
        "seconds": seconds,
        "chosen": posterior.chosen,
    }
    return [
        {**shared, "observation": k, "c2st": _c2st(posterior, observation)}
        for k, observation in enumerate(observations(fit.task))
    ]


def _c2st(posterior: Posterior, observation: Observation) -> float:
    return c2st(observation.exact, posterior.draw(observation.x, len(observation.exact)))


def _name(task: str, rows: int) -> str:
    return f"{task}, N = {rows:,}"


def run(choice: Choice, folder: Path) -> None:
    """Measure what is not in the folder's sbi.json yet, keep it there and print the tables."""
    records = report.read("sbi", folder)
    done = {Fit(*(one[name] for name in Fit.__dataclass_fields__)) for one in records}
    for fit in choice.fits():
        missing = PEERS[fit.peer].missing
        if missing and fit not in done:
            report.say(f"skipped {fit.peer}: install {' and '.join(missing)}, or brenier[bench]")
            continue
        if fit not in done:
            records = [*records, *measure(fit, choice.max_seconds)]
            report.write("sbi", records, folder)
        report.say(_line(fit, records))
    for line in markdown(records) if records else ["nothing measured"]:
        report.say(line)


def _line(fit: Fit, records: summary.Records) -> str:
    """Return the figures of a fit, on a line."""
    own = [one for one in records if asdict(fit).items() <= one.items()]
    values = [one["c2st"] for one in own]
    return (
        f"{_name(fit.task, fit.rows)}, seed {fit.seed}, {fit.peer}: C2ST {np.mean(values):.3f}, "
        f"sd {np.std(values, ddof=1):.3f}, {own[0]['seconds']:.0f} s, {own[0]['chosen']}"
    )


def section(records: summary.Records) -> list[str]:
    """Return the lines of a section of the documentation's page of figures."""
    return ["## Posteriors from simulations", "", DESCRIPTION, "", *markdown(records)]


def markdown(records: summary.Records) -> list[str]:
    """Return the lines of two Markdown tables: C2ST, mean and deviation over observations; seconds.

    Where there are several seeds, the deviation is over these too.
    """
    head, rule, *rows = summary.markdown(records, C2ST)
    published = {_name(*what): f"{value:.2f}" for what, value in PUBLISHED.items()}
    names = [line.data for line in summary.lines(records, C2ST)]
    seconds = [one for one in records if one["observation"] == 0]
    return [
        f"### {C2ST.title}",
        "",
        f"{head} NPE as published |",
        f"{rule}---|",
        *(f"{row} {published.get(name, '')} |" for name, row in zip(names, rows, strict=True)),
        "",
        f"### {SECONDS.title}",
        "",
        *summary.markdown(seconds, SECONDS),
        *_cut_short(seconds),
    ]


def _cut_short(records: summary.Records) -> list[str]:
    """Return a paragraph on the fits that `max_seconds` ended, if there are any."""
    fits = [
        f"{one['data']}, {one['peer']} ({one['chosen']['max_seconds']:g} s)"
        for one in records
        if one.get("chosen", {}).get("status") == FitStatus.TIME_LIMIT.value
    ]
    return ["", f"Ended by `max_seconds`: {'; '.join(fits)}."] if fits else []


def main() -> None:
    """Measure all tasks by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=list(SIMULATORS), default=list(SIMULATORS))
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--max-seconds", type=float, help="brenier's (default: no limit)")
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS, metavar="FOLDER")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    choice = Choice(
        tuple(arguments.only),
        tuple(arguments.rows),
        tuple(arguments.seeds),
        tuple(arguments.peers),
        arguments.max_seconds,
    )
    report.say(" ".join(f"{key}={value}" for key, value in report.machine().items()))
    run(choice, arguments.output)


if __name__ == "__main__":
    main()
