"""What each step and number of the recipe is worth: `python -m benchmarks.ablation`.

    python -m benchmarks.ablation measure -o one.json [--sets ...] [--variants ...] [--share 0/2]
    python -m benchmarks.ablation table one.json two.json

A variant is the default recipe with one step or number taken out, or with one that another could
stand for. `measure` fits every variant to the same rows, split by split; what is already in the
file is left as it is. `table` says how much worse each variant is than the recipe (nats a row of
test rows, paired by split, the mean over sets), and its seconds beside the recipe's.

The rows are of splits that no other benchmark reports, and without rows to choose by: each fit
sets its own apart.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import brenier.estimators.parameters as parameters
import brenier.training.fit as recipe
from benchmarks import data, paired, report, small
from benchmarks.paired import Record
from brenier import ConditionalConvexPotentialFlow, ConvexPotentialFlow
from brenier.data.datasets import EightGaussians, Moons
from brenier.training.settings import default_settings

# The first split of every set; splits that are reported have smaller numbers.
FIRST = 500
RECIPE = "recipe"
JOINT, GIVEN, COMPOSED, FEW = "joint", "given a context", "composed", "few rows"
TEST_SHARE = 0.1
# The posterior of most columns, of which a split is fitted.
SLOW = "diamonds"


@dataclass(frozen=True)
class Variant:
    """The recipe with something taken out.

    Attributes
    ----------
    settings : mapping
        Fields of `Settings` and what they are instead.
    one_split : bool
        Whether all potentials hold out the same rows.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    one_split: bool = False

    @contextmanager
    def used(self) -> Iterator[None]:
        """Make fits by this variant."""

        def changed(**kind: bool) -> Any:
            return replace(default_settings(**kind), **self.settings)

        splits = partial(_of_one_split, recipe._splits) if self.one_split else recipe._splits
        with (
            patch.object(parameters, "default_settings", changed),
            patch.object(recipe, "_splits", splits),
        ):
            yield


def _of_one_split(
    splits: Callable[..., Any],
    rows: Any,
    validation: Any,
    settings: Any,
    bounds: Any,
    **more: Any,
):
    """Return the split that a single potential has."""
    return splits(rows, validation, replace(settings, n_estimators=1), bounds, **more)


def _of(**settings: Any) -> Variant:
    return Variant(settings)


VARIANTS: Mapping[str, Mapping[str, Variant]] = {
    JOINT: {
        "one candidate: radial units, decay 1e-3": _of(decay=1e-3),
        "one candidate: radial units, decay 1e-2": _of(decay=1e-2),
        "two candidates: no radial units, decay 1e-5; such, 1e-3": _of(decays=(1e-5, 1e-3)),
        "no radial units, decay 1e-5, 1e-4 or 1e-2": _of(n_radial=0),
        "radial matrices begin without noise": _of(radial_noise=0.0),
        "no noise on rows": _of(noise=0.0),
        "noise however wide the bandwidth": _of(noise_max_bandwidth=10.0),
        "one potential": _of(n_estimators=1, n_estimators_few=1),
        "3 potentials": _of(n_estimators_few=3),
        "one split for all potentials": Variant(one_split=True),
        "one split for three potentials": Variant({"n_estimators_few": 3}, one_split=True),
        "the best goes on after 25 iterations": _of(rung=25),
        "the best goes on after 100 iterations": _of(rung=100),
        "patience 25, no share": _of(patience_share=0.0),
        "patience 50, no share": _of(patience_share=0.0, n_iter_no_change=50),
        "kinks of one spread": _of(kink_spread=(1.0, 1.0)),
        "first w of full weight": _of(cold_weight=1.0),
        "no ridge": _of(ridge=0.0),
        "two layers": _of(widths=(16, 16)),
    },
    GIVEN: {
        "one candidate: decay 3e-2": _of(decay=3e-2),
        "one candidate: decay 1e-1": _of(decay=1e-1),
        "no gates": _of(n_gates=0),
        "one potential": _of(n_estimators=1, n_estimators_few=1),
        "3 potentials": _of(n_estimators_few=3),
        "one split for all potentials": Variant(one_split=True),
        "no tail": _of(tails=False),
        "tail whatever it gains": _of(tail_gain=-np.inf),
        "patience 25, no share": _of(patience_share=0.0),
        "spread of context features as of kinks": _of(context_spread=(0.5, 3.0)),
        "biases and gates begin without context": _of(context_noise=0.0),
        "first shift with the baseline's ridge": _of(shift_ridge=1e-8),
        "first w of full weight": _of(cold_weight=1.0),
        "four layers": _of(widths=(16, 16, 16, 16)),
        "one context layer": _of(context_widths=(16,)),
        "contexts unbent": _of(far_value=np.inf),
    },
    COMPOSED: {
        "one start": _of(n_init=1),
        "no radial units": _of(n_radial=0),
        "no noise on rows": _of(noise=0.0),
    },
    FEW: {
        "one split": Variant({"cross_rows": 0}, one_split=True),
        "one split for three potentials": Variant(
            {"cross_rows": 0, "n_estimators_few": 3}, one_split=True
        ),
        "lead of two errors": _of(cross_lead=2.0),
        "lead of one error": _of(cross_lead=1.0),
        "3 folds": _of(n_estimators_few=3),
        "noisy copies as elsewhere": _of(cross_noise_rows=0),
        "a tenth held out, a twentieth judges": _of(least_apart=0),
        "one candidate: radial units, decay 1e-3": _of(decay=1e-3),
        "one candidate: radial units, decay 1e-2": _of(decay=1e-2),
    },
}
"""What each kind of set is fitted by, beside the recipe."""


@dataclass(frozen=True)
class DataSet:
    """So many splits of a kind, and what fits one: (split) -> log-likelihoods of test rows."""

    kind: str
    splits: int
    fit: Callable[[int], np.ndarray]


def _joint(rows: Callable[[int], data.Split], split: int, n_maps: int = 1) -> np.ndarray:
    parts = rows(FIRST + split)
    flow = ConvexPotentialFlow(n_maps=n_maps, random_state=split).fit(parts.train)
    return flow.score_samples(parts.test)


def _given(name: str, split: int) -> np.ndarray:
    X, y, X_test, y_test = _uci(name, FIRST + split)
    flow = ConditionalConvexPotentialFlow(random_state=split).fit(X, y)
    return flow.score_samples(X_test, y_test)


def _uci(name: str, seed: int) -> data.Regression:
    """Return a random split of a table: a tenth of the rows test."""
    usual = data.uci(name, 0)
    X, y = np.vstack((usual.X, usual.X_test)), np.concatenate((usual.y, usual.y_test))
    order = np.random.default_rng(seed).permutation(len(y))
    n_test = round(TEST_SHARE * len(y))
    test, train = order[:n_test], order[n_test:]
    return data.Regression(X[train], y[train], X[test], y[test])


def _given_columns(rows: Callable[[int], data.Split], q: int, split: int) -> np.ndarray:
    """Fit the columns after the first q given those."""
    train, _, test = rows(FIRST + split)
    flow = ConditionalConvexPotentialFlow(random_state=split).fit(train[:, :q], train[:, q:])
    return flow.score_samples(test[:, :q], test[:, q:])


def _drawn(truth: Any, seed: int) -> data.Split:
    return data.drawn(truth, (1024, 1, 5000), seed)


SETS: Mapping[str, DataSet] = {
    **{
        name: DataSet(
            JOINT, 1 if name == SLOW else 2, partial(_joint, partial(data.posterior, name))
        )
        for name in data.POSTERIOR_NAMES
    },
    "moons": DataSet(JOINT, 10, partial(_joint, partial(_drawn, Moons()))),
    **{name: DataSet(GIVEN, 5, partial(_given, name)) for name in ("concrete", "energy", "yacht")},
    **{
        f"{name} given {q}": DataSet(
            GIVEN, 2, partial(_given_columns, partial(data.posterior, name), q)
        )
        for name, q in (("garch11", 2), ("lotka_volterra", 4), ("eight_schools_noncentered", 7))
    },
    "moons given 1": DataSet(GIVEN, 3, partial(_given_columns, partial(_drawn, Moons()), 1)),
    "moons, two maps": DataSet(COMPOSED, 3, partial(_joint, partial(_drawn, Moons()), n_maps=2)),
    "eight gaussians, two maps": DataSet(
        COMPOSED, 2, partial(_joint, partial(_drawn, EightGaussians()), n_maps=2)
    ),
    **{
        f"{name}, {N} rows": DataSet(FEW, 2, partial(_joint, partial(small.posterior, name, N)))
        for name in data.POSTERIOR_NAMES
        if name != SLOW
        for N in (100, 400)
    },
}
"""By name."""


@dataclass(frozen=True)
class Fit:
    """One fit of a variant."""

    variant: str
    record: Record


def read(files: Sequence[Path]) -> list[Fit]:
    """Return the fits in files; none where there is no file."""
    kept = [one for file in files if file.exists() for one in json.loads(file.read_text())["fits"]]
    return [Fit(one["variant"], Record(**one["record"])) for one in kept]


def write(file: Path, fits: Sequence[Fit]) -> None:
    """Write fits with the machine; the file appears whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    kept = {"machine": report.here(), "fits": [asdict(one) for one in fits]}
    part.write_text(json.dumps(kept, indent=1) + "\n")
    part.replace(file)


def to_do(
    names: Sequence[str],
    variants: Sequence[str],
    done: Sequence[Fit],
    share: tuple[int, int],
    splits: range | None = None,
) -> Iterator[tuple[str, int, str]]:
    """Yield sets, splits and variants without a fit, split by split: something of all early.

    Of `share = (k, K)` the k-th of K parts of the splits; those of every set unless they are given.
    """
    there = {(one.record.set, one.record.split, one.variant) for one in done}
    places = [(split, name) for name in names for split in splits or range(SETS[name].splits)]
    for place, (split, name) in enumerate(sorted(places, key=lambda place: place[0])):
        if place % share[1] != share[0]:
            continue
        for variant in (RECIPE, *VARIANTS[SETS[name].kind]):
            wanted = not variants or variant in (RECIPE, *variants)
            if wanted and (name, split, variant) not in there:
                yield name, split, variant


def measure(file: Path, wanted: Callable[[Sequence[Fit]], Iterator[tuple[str, int, str]]]) -> None:
    """Fit what is wanted of what the file does not have, and add it."""
    fits = read([file])
    for name, split, label in wanted(fits):
        one = SETS[name]
        variant = Variant() if label == RECIPE else VARIANTS[one.kind][label]
        start = time.perf_counter()
        with variant.used():
            mean = float(np.mean(one.fit(split)))
        record = Record(name, split, mean, time.perf_counter() - start)
        fits.append(Fit(label, record))
        write(file, fits)
        report.say(f"{name}, {split}, {label}: {mean:.5f} in {record.seconds:.1f} s")


def table(fits: Sequence[Fit]) -> list[str]:
    """Return a Markdown table of each kind: how much worse every variant is than the recipe.

    Variants of what is no longer part of the recipe are shown too.
    """
    lines = []
    for kind in VARIANTS:
        of_kind = [one for one in fits if SETS[one.record.set].kind == kind]
        records: dict[str, list[Record]] = {RECIPE: []}
        for one in of_kind:
            records.setdefault(one.variant, []).append(one.record)
        recipe = records.pop(RECIPE)
        lines += [
            f"| {kind} | worse (nats) | worst set | fits | seconds |",
            "|---|---|---|---|---|",
        ]
        for label, of_variant in records.items():
            found = paired.differences(recipe, of_variant)
            lines += [_line(label, found)] if found else []
        lines.append("")
    return lines


def _line(label: str, found: Sequence[paired.Difference]) -> str:
    mean, worst = paired.mean_of(found), max(found, key=lambda one: one.worse)
    return (
        f"| {label} | {mean.worse:+.4f} ± {mean.error:.4f} | {worst.name} {worst.worse:+.3f} | "
        f"{mean.splits} | {mean.seconds[1] / mean.seconds[0]:.2f} |"
    )


def _share(text: str) -> tuple[int, int]:
    k, K = map(int, text.split("/"))
    return k, K


def _splits(text: str) -> range:
    first, end = map(int, text.split(":"))
    return range(first, end)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("measure", help="fit what FILE does not have")
    make.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    make.add_argument("--variants", nargs="+", default=[], help="only these, and the recipe")
    make.add_argument("--splits", type=_splits, metavar="a:b", help="others than every set's own")
    make.add_argument("--share", type=_share, default=(0, 1), metavar="k/K", help="part of it")
    make.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    show = commands.add_parser("table", help="compare variants")
    show.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.command == "measure":
        measure(
            arguments.output,
            lambda done: to_do(
                arguments.sets, arguments.variants, done, arguments.share, arguments.splits
            ),
        )
    else:
        report.say("\n".join(table(read(arguments.files))))


if __name__ == "__main__":
    main()
