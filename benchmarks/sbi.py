"""Posteriors from simulations: `python -m benchmarks.sbi`, from the repository's root.

brenier and neural posterior estimation (NPE) learn p(theta | x) from the same simulations, or
p(x | theta), from which a sampler draws. Then, at ten observations, a classifier tries to tell
their draws from as many of the exact posterior: its accuracy (C2ST) is 0.5 for a perfect posterior,
1 for one that is wrong everywhere. The observations are drawn here, or with
`--observations official` those of sbibm (`benchmarks.observations`).

Figures are kept after every fit, and an interrupted run goes on where it was; delete sbi.json or
sbi_official.json to measure anew.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from examples.c2st import c2st
from examples.simulators import SIMULATORS

from benchmarks import report, summary
from benchmarks.fit import FITTED
from benchmarks.observations import AbstractObservations, Figures, Observation, Official, Own
from benchmarks.peers import Peer
from benchmarks.peers.protocol import Posterior, Simulations
from brenier.status import FitStatus

ROWS = (1000, 10_000)
OBSERVATIONS: dict[str, AbstractObservations] = {"own": Own(), "official": Official()}
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
    "brenier-likelihood": Peer(
        "convex",
        "likelihood",
        (),
        "`ConditionalConvexPotentialFlow(random_state=seed).fit(theta, x)`: the density of the "
        "data given the parameters, the defaults; draws by sequential Monte Carlo from the prior's "
        "box (`examples/likelihood.py`).",
    ),
    "brenier-pairs": Peer(
        "convex",
        "likelihood_of_parts",
        (),
        "As brenier-likelihood, but told that slcp's data are four pairs, independent and alike "
        "given the parameters: it learns the density of one pair, from four times as many rows, "
        "and adds four log-densities. Neither the other columns nor the published ones know this.",
    ),
    "brenier-mixture": Peer(
        "convex_mixture",
        "mixture_posterior",
        (),
        "`ConditionalConvexPotentialMixture(n_maps=2, random_state=seed).fit(x, theta)`, draws as "
        "of brenier-composed.",
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


def simulations(task: str, rows: int, seed: int) -> Simulations:
    """Return simulations of a task, the same for every peer."""
    simulator, generator = SIMULATORS[task], np.random.default_rng([seed, rows])
    theta = simulator.prior(rows, generator)
    data = simulator.simulate(theta, generator)
    return Simulations(theta, data, simulator.bounds, simulator.n_independent)


def measure(
    fit: Fit, observations: list[Observation], max_seconds: float | None = None
) -> list[dict[str, Any]]:
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
        {**shared, "observation": k, **_compared(posterior, one)}
        for k, one in enumerate(observations)
    ]


def _compared(posterior: Posterior, observation: Observation) -> dict[str, Any]:
    draws = posterior.draw(observation.x, len(observation.exact))
    return {"draws": len(draws), "c2st": c2st(observation.exact, draws)}


def _name(task: str, rows: int) -> str:
    return f"{task}, N = {rows:,}"


def run(choice: Choice, source: AbstractObservations, folder: Path) -> None:
    """Measure what is not in the folder's results yet, keep it there and print the tables."""
    observations = {task: source.of(task) for task in choice.tasks}
    records = report.read(source.name, folder)
    done = {Fit(*(one[name] for name in Fit.__dataclass_fields__)) for one in records}
    for fit in choice.fits():
        missing = PEERS[fit.peer].missing
        if missing and fit not in done:
            report.say(f"skipped {fit.peer}: install {' and '.join(missing)}, or brenier[bench]")
            continue
        if fit not in done:
            records = [*records, *measure(fit, observations[fit.task], choice.max_seconds)]
            report.write(source.name, records, folder)
        report.say(_line(fit, records))
    for line in markdown(records, source.published) if records else ["nothing measured"]:
        report.say(line)


def _line(fit: Fit, records: summary.Records) -> str:
    """Return the figures of a fit, on a line."""
    own = [one for one in records if asdict(fit).items() <= one.items()]
    values = [one["c2st"] for one in own]
    return (
        f"{_name(fit.task, fit.rows)}, seed {fit.seed}, {fit.peer}: C2ST {np.mean(values):.3f}, "
        f"sd {np.std(values, ddof=1):.3f}, {own[0]['seconds']:.0f} s, {own[0]['chosen']}"
    )


def section(source: AbstractObservations) -> Callable[[summary.Records], list[str]]:
    """Return what makes of records the lines of a section of the page of figures."""

    def lines(records: summary.Records) -> list[str]:
        treated = [f"- **{peer}**: {PEERS[peer].treatment}" for peer in summary.peers_in(records)]
        head = [f"## {source.title}", "", source.description, "", *treated, ""]
        return [*head, *markdown(records, source.published)]

    return lines


def markdown(records: summary.Records, published: Mapping[str, Figures]) -> list[str]:
    """Return the lines of two Markdown tables: C2ST, mean and deviation over observations; seconds.

    Where there are several seeds, the deviation is over these too.
    """
    head, rule, *rows = summary.markdown(records, C2ST)
    names = [line.data for line in summary.lines(records, C2ST)]
    seconds = [one for one in records if one["observation"] == 0]
    return [
        f"### {C2ST.title}",
        "",
        f"{head} {' | '.join(published)} |",
        f"{rule}{'---|' * len(published)}",
        *(f"{row} {_published(name, published)} |" for name, row in zip(names, rows, strict=True)),
        "",
        f"### {SECONDS.title}",
        "",
        *summary.markdown(seconds, SECONDS),
        *_cut_short(seconds),
    ]


def _published(name: str, published: Mapping[str, Figures]) -> str:
    """Return the cells of what was published on simulations of this name."""
    by_name = [{_name(*what): text for what, text in one.items()} for one in published.values()]
    return " | ".join(one.get(name, "") for one in by_name)


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
    parser.add_argument("--observations", choices=list(OBSERVATIONS), default="own")
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
    try:
        run(choice, OBSERVATIONS[arguments.observations], arguments.output)
    except ModuleNotFoundError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
