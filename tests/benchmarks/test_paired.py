"""Accuracy against another version: which fits are made, and what is said of the differences."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import data, paired, report
    from benchmarks.paired import DataSet, Record
finally:
    sys.path.remove(str(ROOT))


def records(name, *means):
    """Return records of splits 0, 1, ... of a set."""
    return [Record(name, split, mean, 2.0) for split, mean in enumerate(means)]


def test_a_difference_is_paired_by_split_and_positive_where_the_second_is_worse():
    old, new = records("a", -1.0, -2.0, -3.0), records("a", -1.1, -2.1)
    (found,) = paired.differences(old, new)
    assert (found.splits, found.seconds) == (2, (2.0, 2.0))
    assert found.worse == pytest.approx(0.1)
    assert found.error == pytest.approx(0.0, abs=1e-12)


def test_the_error_is_that_of_the_mean_over_splits():
    old, new = records("a", 0.0, 0.0, 0.0), records("a", -0.1, -0.2, -0.6)
    (found,) = paired.differences(old, new)
    assert found.error == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1) / math.sqrt(3))
    assert found.allowed == pytest.approx(paired.MOST_SET + 2 * found.error)


def test_one_split_has_no_error_and_the_limit_alone():
    (found,) = paired.differences(records("a", 1.0), records("a", 0.5))
    assert math.isnan(found.error)
    assert found.allowed == paired.MOST_SET


def test_the_mean_gives_every_set_the_same_weight():
    old = records("a", 0.0, 0.0) + records("b", 0.0, 0.0, 0.0, 0.0)
    new = records("a", -0.3, -0.5) + records("b", 0.0, 0.2, 0.0, 0.2)
    found = paired.differences(old, new)
    mean = paired.mean_of(found)
    assert mean.worse == pytest.approx((0.4 - 0.1) / 2)
    assert mean.error == pytest.approx(math.hypot(*(one.error for one in found)) / 2)
    assert mean.allowed == pytest.approx(paired.MOST_MEAN + 2 * mean.error)


def test_sets_that_only_one_has_are_left_out():
    assert paired.differences(records("a", 1.0), records("b", 1.0)) == []


@pytest.mark.parametrize(("loss", "allowed"), [(0.002, True), (0.02, False)])
def test_compare_says_whether_all_is_allowed(tmp_path, loss, allowed):
    for name, change in (("old", 0.0), ("new", loss)):
        paired.write(tmp_path / f"{name}.json", name, records("a", -1.0 - change, -2.0 - change))
    assert paired.compare(tmp_path / "old.json", tmp_path / "new.json") is allowed


def test_measuring_goes_on_where_it_was(tmp_path, monkeypatch):
    fitted = []

    def fit(split):
        fitted.append(split)
        return np.array([-1.0, -3.0]), 0.5

    monkeypatch.setattr(paired, "SETS", {"a": DataSet(3, fit), "b": DataSet(1, fit)})
    file = tmp_path / "new.json"
    paired.write(file, "new", [Record("a", 1, -5.0, 1.0)])
    paired.measure(file, "new", ["a", "b"], None)
    assert fitted == [0, 0, 2]
    found = {(one.set, one.split): one for one in paired.read(file)}
    assert found["a", 1].mean == -5.0
    assert found["a", 2].mean == found["b", 0].mean == -2.0
    assert (found["a", 0].first, found["a", 2].first) == (True, False)
    paired.measure(file, "new", ["a", "b"], None)
    assert fitted == [0, 0, 2]


def test_results_of_the_suites_become_records():
    found = paired.from_results(report.RESULTS)
    names = {one.set for one in found}
    assert names == set(paired.SETS)
    assert all(one.mean < 100 and one.seconds > 0 for one in found)
    assert sum(one.set == "garch11" for one in found) == paired.SETS["garch11"].splits


def test_moons_are_those_of_the_suite():
    for ours, theirs in zip(paired._moons(3), data.moons(1024, 3), strict=True):
        assert np.array_equal(ours, theirs)
