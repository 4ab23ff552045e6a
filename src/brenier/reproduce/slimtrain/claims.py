"""What is claimed of slimTrain, and whether the runs bear it out: nothing is known beforehand."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from brenier.reproduce.claims import Claim, Verdict
from brenier.reproduce.slimtrain.measured import Measured
from brenier.reproduce.slimtrain.problems import Problem
from brenier.reproduce.slimtrain.setting import (
    ADAM,
    ADAM_MECHANIC,
    ADAM_OPTIMAL,
    SLIMTRAIN,
    SLIMTRAIN_MECHANIC,
    Scheme,
)
from brenier.reproduce.slimtrain.tables import entry_of

# What slimTrain's worst loss is to be of Adam's.
HALF = 0.5
# By how much a lambda found along the way may be worse than the best of fixed ones.
NEARLY = 1.1
# Of the epochs: what is soon.
EARLY = 0.1

Losses = Float[np.ndarray, " s"]


def claims(measured: Measured) -> list[Claim]:
    """Return every claim with its verdict."""
    setting = measured.setting
    adam, adam_optimal, slimtrain = map(setting.scheme, (ADAM, ADAM_OPTIMAL, SLIMTRAIN))
    adam_mechanic, mechanic = map(setting.scheme, (ADAM_MECHANIC, SLIMTRAIN_MECHANIC))
    rates, fewer = setting.rates, setting.fewer_rates
    return [
        *_halves(measured),
        _lower(
            measured,
            "It is not only Mechanic: slimTrain's worst loss with it is below that of Adam on all "
            "weights with it",
            lambda one: measured.worst(one, mechanic, rates),
            lambda one: measured.worst(one, adam_mechanic, rates),
        ),
        _lower(
            measured,
            "It is not only Adam's random W: slimTrain's worst loss is below that of Adam from the "
            "optimal W of the first network",
            lambda one: measured.worst(one, slimtrain, rates),
            lambda one: measured.worst(one, adam_optimal, rates),
        ),
        _lower(
            measured,
            "A learning rate matters less: the worst loss over the lowest is less than Adam's",
            lambda one: _factor(measured, one, slimtrain, rates),
            lambda one: _factor(measured, one, adam, rates),
        ),
        _early(measured),
        _lower(
            measured,
            "At the best learning rate of each, slimTrain is no worse than Adam",
            lambda one: measured.lowest(one, slimtrain, rates),
            lambda one: measured.lowest(one, adam, rates),
        ),
        _lower(
            measured,
            "lambda by cross-validation is within 10 % of the best fixed one, by the worst loss",
            lambda one: measured.worst(one, setting.regularised[0], fewer),
            lambda one: NEARLY * _best_fixed(measured, one),
            shown=NEARLY,
        ),
        _lower(
            measured,
            "A memory helps: the lowest loss over learning rates is below that without one",
            lambda one: measured.lowest(one, slimtrain, fewer),
            lambda one: measured.lowest(one, _forgetful(measured), fewer),
        ),
    ]


def _halves(measured: Measured) -> list[Claim]:
    """Return the claims of half of Adam's worst, problem by problem: all rates, small batches."""
    setting = measured.setting
    adam, small_adam = setting.scheme(ADAM), setting.small[0]
    slimtrains = map(setting.scheme, (SLIMTRAIN, SLIMTRAIN_MECHANIC))
    pairs = [(adam, one, setting.rates) for one in slimtrains]
    pairs += [(small_adam, one, setting.fewer_rates) for one in setting.small[1:]]
    return [_half(measured, problem, *pair) for pair in pairs for problem in setting.problems]


def _half(
    measured: Measured, problem: Problem, adam: Scheme, slimtrain: Scheme, rates: Sequence[float]
) -> Claim:
    ours, theirs = (measured.worst(problem, one, rates) for one in (slimtrain, adam))
    holds = np.isfinite(ours.mean()) and ours.mean() <= HALF * theirs.mean()
    verdict = Verdict.YES if holds else Verdict.NO
    who = "slimTrain" + " with Mechanic" * (slimtrain.family == SLIMTRAIN_MECHANIC)
    both = np.isfinite([ours.mean(), theirs.mean()]).all()
    ratio = f": {ours.mean() / theirs.mean():.2f}" if both else ""
    return Claim(
        f"{problem.title}: over learning rates {rates[0]:g} to {rates[-1]:g}, mini-batches of "
        f"{adam.batch_rows}, the worst validation loss of {who} is at most half of Adam's",
        verdict,
        f"{text(ours)} against {text(theirs)}{ratio}",
    )


def _lower(
    measured: Measured,
    what: str,
    ours: Callable[[Problem], Losses],
    theirs: Callable[[Problem], Losses],
    shown: float = 1.0,
) -> Claim:
    """Return the claim that a mean over seeds is no higher than another, in every problem."""
    pairs = [(one.name, ours(one), theirs(one)) for one in measured.setting.problems]
    holds = all(np.isfinite(a.mean()) and a.mean() <= b.mean() for _, a, b in pairs)
    numbers = "; ".join(f"{name}: {text(a)} against {text(b / shown)}" for name, a, b in pairs)
    verdict = Verdict.YES if holds else Verdict.NO
    return Claim(f"{what}, in every problem", verdict, numbers)


def _early(measured: Measured) -> Claim:
    """Return the claim that slimTrain is ahead soon, at every learning rate."""
    setting = measured.setting
    epochs = max(1, int(EARLY * setting.epochs))

    def early(problem: Problem, scheme: Scheme) -> Float[np.ndarray, " k"]:
        losses = measured.table(problem, scheme, setting.rates, lambda run: run.best_after(epochs))
        return losses.mean(axis=0)

    adam, slimtrain = setting.scheme(ADAM), setting.scheme(SLIMTRAIN)
    ahead = {
        one.name: int(np.sum(early(one, slimtrain) < early(one, adam))) for one in setting.problems
    }
    n = len(setting.rates)
    return Claim(
        f"Convergence is fast at first: after {epochs} epochs slimTrain's loss is below Adam's at "
        "every learning rate",
        Verdict.YES if all(k == n for k in ahead.values()) else Verdict.NO,
        "; ".join(f"{name}: at {k} of {n}" for name, k in ahead.items()),
    )


def _factor(measured: Measured, problem: Problem, scheme: Scheme, rates: Sequence[float]) -> Losses:
    worst, lowest = (of(problem, scheme, rates) for of in (measured.worst, measured.lowest))
    # Where the lowest is infinite, so is the worst.
    return worst / np.where(np.isfinite(lowest), lowest, 1.0)


def _best_fixed(measured: Measured, problem: Problem) -> Losses:
    """Return the worst losses over learning rates of the fixed lambda whose are the lowest."""
    setting = measured.setting
    fixed = [
        measured.worst(problem, scheme, setting.fewer_rates) for scheme in setting.regularised[1:]
    ]
    return min(fixed, key=lambda losses: losses.mean())


def _forgetful(measured: Measured) -> Scheme:
    return min(measured.setting.remembering, key=lambda scheme: scheme.depth)


def text(losses: Losses) -> str:
    """Return mean and standard deviation over seeds as people read them."""
    return entry_of("", "", losses).text.replace(". ", " ").removesuffix(".")
