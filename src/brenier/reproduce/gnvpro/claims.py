"""What the paper claims, and whether the numbers bear it out.

Nothing here is known beforehand: every verdict is computed from the runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brenier.reproduce.claims import Claim, Verdict
from brenier.reproduce.gnvpro.methods import (
    ADAM,
    DESCENT,
    GAUSS_NEWTON,
    GAUSS_NEWTON_PLAIN,
    GAUSS_NEWTON_RANDOM,
    GNVPRO,
    GNVPRO_PLAIN,
    LBFGS_FULL,
    LBFGS_VARPRO,
)
from brenier.reproduce.gnvpro.problems import Problem
from brenier.reproduce.gnvpro.record import Run
from brenier.reproduce.gnvpro.results import Results
from brenier.reproduce.gnvpro.setting import CLAIMED, GnvproSetting
from brenier.reproduce.setting import Spread
from brenier.reproduce.tables import spread_of

# Of the problems claimed, on how many the difference must be beyond a standard deviation, and on
# how many Adam must be beaten.
MOST = 2
# Adam as it was chosen without a look at the validation rows.
CHOSEN = "chosen"


IN_WORDS = {
    GNVPRO: "GNvpro",
    GNVPRO_PLAIN: "With the paper's own step, without memory, GNvpro",
    LBFGS_VARPRO: "L-BFGS with elimination",
    GAUSS_NEWTON: "Gauss-Newton on all weights from the optimal W of the first network",
    GAUSS_NEWTON_RANDOM: "Gauss-Newton on all weights from a random W",
    GAUSS_NEWTON_PLAIN: "Gauss-Newton with that step on all weights from the optimal W",
    LBFGS_FULL: "L-BFGS on all weights from the optimal W of the first network",
    ADAM: "the best Adam, in hindsight, of the grid",
    CHOSEN: "the Adam that cross-validation on training rows chose of the grid",
    DESCENT: "the best SGD, in hindsight, of the grid",
}


@dataclass(frozen=True)
class Comparison:
    """Mean validation losses of two methods on one problem.

    Attributes
    ----------
    problem : Problem
        Which.
    ours, theirs, apart : Spread
        Of the first, of the second, and of the second less the first seed by seed.
    n_lower : int
        Seeds from which the first is the lower.
    n_seeds : int
        All of them.
    """

    problem: Problem
    ours: Spread
    theirs: Spread
    apart: Spread
    n_lower: int
    n_seeds: int

    @property
    def lower(self) -> bool:
        """Whether the first mean is the lower."""
        return self.ours.mean < self.theirs.mean

    @property
    def clearly(self) -> bool:
        """Whether it is lower by more than the larger of both standard deviations."""
        return self.theirs.mean - self.ours.mean > max(self.ours.sd, self.theirs.sd)

    @property
    def text(self) -> str:
        """The numbers."""
        spreads = (self.ours, self.theirs, self.apart)
        ours, theirs, apart = (f"{s.mean:.3g} \N{PLUS-MINUS SIGN} {s.sd:.2g}" for s in spreads)
        return (
            f"{self.problem.name} {ours} against {theirs}, apart {apart} (lower from "
            f"{self.n_lower} of {self.n_seeds} seeds)"
        )


def compare(
    results: Results,
    problem: Problem,
    found: tuple[Sequence[Run], Sequence[Run]],
    shares: tuple[float, float] = (1.0, 1.0),
) -> Comparison:
    """Return the runs of two methods compared, each at a share of the work units."""
    budget = results.setting.budget(problem)
    first, second = (
        {run.seed: run.best_at(share * budget) for run in runs}
        for runs, share in zip(found, shares, strict=True)
    )
    return Comparison(
        problem,
        spread_of(first.values()),
        spread_of(second.values()),
        spread_of(second[seed] - first[seed] for seed in first),
        sum(first[seed] < second[seed] for seed in first),
        len(first),
    )


def claims(short: Results, long: Results, folds: Sequence[Run]) -> list[Claim]:
    """Return every claim with its verdict, the grid's with both budgets."""
    whole, share = 1.0, short.setting.share
    return [
        _eliminates(short, (GNVPRO, GAUSS_NEWTON), whole),
        _clearly(short, (GNVPRO, GAUSS_NEWTON), whole),
        _eliminates(short, (GNVPRO, GAUSS_NEWTON), share),
        _clearly(short, (GNVPRO, GAUSS_NEWTON), share),
        _eliminates(short, (GNVPRO, GAUSS_NEWTON_RANDOM), whole),
        _eliminates(short, (LBFGS_VARPRO, LBFGS_FULL), whole),
        *_beats_adam(short, GNVPRO),
        *_beats_adam(long, GNVPRO),
        _beats(short, LBFGS_VARPRO, ADAM, share),
        _beats(long, LBFGS_VARPRO, ADAM, share),
        _eliminates(short, (GNVPRO_PLAIN, GAUSS_NEWTON_PLAIN), whole),
        _clearly(short, (GNVPRO_PLAIN, GAUSS_NEWTON_PLAIN), whole),
        _beats(short, GNVPRO_PLAIN, ADAM, share),
        _beats(long, GNVPRO_PLAIN, ADAM, share),
        _beats(short, GNVPRO, DESCENT, share),
        _inner_solves([*short.runs, *long.runs, *folds]),
    ]


def _judged(
    setting: GnvproSetting,
    what: str,
    compared: Sequence[Comparison],
    *,
    holds: bool,
    note: str = "",
) -> Claim:
    numbers = "; ".join(one.text for one in compared) + note
    if len(compared) < len(CLAIMED) or len(setting.seeds) < MOST:
        return Claim(what, Verdict.OPEN, numbers + " (too few problems or seeds to say)")
    return Claim(what, Verdict.YES if holds else Verdict.NO, numbers)


def _compared(results: Results, labels: tuple[str, str], share: float) -> list[Comparison]:
    """Return two methods compared on all problems claimed, at the same share of the work."""
    return [
        compare(
            results,
            problem,
            (results.of(problem, labels[0]), results.of(problem, labels[1])),
            (share, share),
        )
        for problem in results.setting.claimed
    ]


def _eliminates(results: Results, labels: tuple[str, str], share: float) -> Claim:
    compared = _compared(results, labels, share)
    return _judged(
        results.setting,
        f"{IN_WORDS[labels[0]]} has a lower mean validation loss than {IN_WORDS[labels[1]]} at "
        f"equal work units ({_of_passes(results, share)}), on all three problems",
        compared,
        holds=all(one.lower for one in compared),
    )


def _clearly(results: Results, labels: tuple[str, str], share: float) -> Claim:
    compared = _compared(results, labels, share)
    found = [one.problem.name for one in compared if one.clearly]
    return _judged(
        results.setting,
        f"... ({_of_passes(results, share)}), by more than a standard deviation, the larger of "
        f"both, on {MOST} or more",
        compared,
        holds=len(found) >= MOST,
        note=f"; beyond it on: {', '.join(found) or 'none'}",
    )


def _of_passes(results: Results, share: float) -> str:
    part = "" if share == 1 else f"{share:.0%} of "
    return f"{part}{results.setting.passes:,} passes"


def _beats_adam(results: Results, label: str) -> list[Claim]:
    """Return what is claimed against Adam, at a share and at all of its work units."""
    return [
        _beats(results, label, member, share)
        for share in (results.setting.share, 1.0)
        for member in (ADAM, CHOSEN)
    ]


def _beats(results: Results, label: str, opponent: str, share: float) -> Claim:
    """Return whether a method beats a grid's best, in hindsight or by cross-validation."""

    def theirs(problem: Problem) -> Sequence[Run]:
        if opponent == CHOSEN:
            return results.chosen(problem)
        return results.of(problem, results.best(problem, opponent).label)

    setting = results.setting
    compared = [
        compare(results, problem, (results.of(problem, label), theirs(problem)), (share, 1.0))
        for problem in setting.claimed
    ]
    at = f"{share:.0%} of its work units" if share < 1 else "the same work units"
    family = ADAM if opponent == CHOSEN else opponent
    n, ran = len(setting.of_family(family)), [*_ran(results, family)]
    note = f"; run of the grid: {min(ran)} of {n}" if ran and min(ran) < n else ""
    return _judged(
        setting,
        f"{IN_WORDS[label]} has a lower mean validation loss than {IN_WORDS[opponent]} of {n}, "
        f"at {at} ({setting.passes:,} passes), on {MOST} of three problems",
        compared,
        holds=sum(one.lower for one in compared) >= MOST,
        note=note,
    )


def _ran(results: Results, family: str) -> Iterator[int]:
    """Yield how many of a grid were run, problem by problem."""
    for problem in results.setting.claimed:
        yield len(results.ranked(problem, family))


def _inner_solves(runs: Sequence[Run]) -> Claim:
    failures = sum(run.inner_failures for run in runs)
    return Claim(
        "Ours: every inner solve converges",
        Verdict.YES if not failures else Verdict.NO,
        f"{failures} did not, from a warm and then a cold start, in {len(runs)} runs",
    )
