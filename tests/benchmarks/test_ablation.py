"""The benchmark that takes steps of the recipe out, without its fits."""

import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from small_fits import ends_early

from brenier import ConvexPotentialFlow
from brenier.estimators.parameters import settings_of
from brenier.training.settings import Settings, default_settings

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import ablation
    from benchmarks.ablation import RECIPE, SETS, VARIANTS, Fit
    from benchmarks.paired import Record
finally:
    sys.path.remove(str(ROOT))

ALL = [(kind, label) for kind, variants in VARIANTS.items() for label in variants]
KINDS = {
    ablation.JOINT: default_settings(),
    ablation.GIVEN: default_settings(conditional=True),
    ablation.COMPOSED: default_settings(composed=True),
    ablation.FEW: default_settings(),
}


@pytest.mark.parametrize(("kind", "label"), ALL)
def test_a_variant_differs_from_the_recipe(kind, label):
    variant = VARIANTS[kind][label]
    known = {field.name for field in fields(Settings)}
    assert variant.settings.keys() <= known
    same = [name for name, value in variant.settings.items() if getattr(KINDS[kind], name) == value]
    # A number that stands for several kinds may already be what it is set to in one of them.
    assert len(same) < len(variant.settings) or variant.one_split


def test_settings_are_changed_only_while_a_variant_is_used():
    flow = ConvexPotentialFlow()
    before = settings_of(flow, conditional=False)
    with ablation.Variant({"noise": 0.0}).used():
        assert settings_of(flow, conditional=False).noise == 0.0
    assert settings_of(flow, conditional=False) == before


@ends_early
def test_of_one_split_all_potentials_hold_out_the_same_rows():
    X = np.random.default_rng(0).normal(size=(400, 2)) ** 3
    flow = ConvexPotentialFlow(
        widths=(3,), n_radial=0, noise=0.0, decay=1e-2, max_iter=3, n_estimators=2, judge_fraction=0
    )
    own = flow.fit(X).report_.n_heldout
    with ablation.Variant(one_split=True).used():
        assert 1.8 * flow.fit(X).report_.n_heldout < own


def test_shares_of_the_work_are_all_of_it():
    parts = [set(ablation.to_do(list(SETS), [], [], (k, 2))) for k in (0, 1)]
    assert not parts[0] & parts[1]
    expected = {
        (name, split, label)
        for name, one in SETS.items()
        for split in range(one.splits)
        for label in (RECIPE, *VARIANTS[one.kind])
    }
    assert parts[0] | parts[1] == expected


def test_what_is_measured_is_left_as_it_is():
    done = [Fit(RECIPE, Record("moons", 0, -1.0, 1.0))]
    left = list(ablation.to_do(["moons"], ["no noise on rows"], done, (0, 1)))
    assert ("moons", 0, RECIPE) not in left
    assert ("moons", 0, "no noise on rows") in left
    assert {label for *_, label in left} == {RECIPE, "no noise on rows"}


def test_the_table_says_how_much_worse_a_variant_is(tmp_path):
    means = {RECIPE: (-1.0, -2.0), "no ridge": (-1.1, -2.3)}
    fits = [
        Fit(label, Record("moons", split, mean, seconds=2.0 if label == RECIPE else 1.0))
        for label, of_splits in means.items()
        for split, mean in enumerate(of_splits)
    ]
    file = tmp_path / "fits.json"
    ablation.write(file, fits)
    assert ablation.read([file, tmp_path / "none.json"]) == fits
    (line,) = [line for line in ablation.table(fits) if "no ridge" in line]
    assert line == "| no ridge | +0.2000 ± 0.1000 | moons +0.200 | 2 | 0.50 |"
