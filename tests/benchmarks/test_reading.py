"""The benchmark of reading, on small files: what is read, and what is said of it."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import reading
    from benchmarks.reading import Cost
finally:
    sys.path.remove(str(ROOT))

NAMES = ("x3", "x11")


def written(folder, kind):
    """Return a small file of a kind of the benchmark's."""
    path = folder / kind
    if kind == "wide.parquet":
        reading.write_parquet(path, parts=2, rows=10)
    else:
        reading.write_csv(path, quoted=kind == "quoted.csv", rows=20)
    return path


@pytest.mark.parametrize("kind", [file.name for file in reading.FILES])
def test_both_read_the_same_columns_of_a_file(tmp_path, kind):
    path = written(tmp_path, kind)
    ours, theirs = reading.ours(path, NAMES), reading.theirs(path, NAMES)
    assert ours.shape == (20, 2)
    np.testing.assert_array_equal(ours, theirs)
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_quoted_in_one_file_only(tmp_path):
    assert b'"' in written(tmp_path, "quoted.csv").read_bytes()
    plain = written(tmp_path, "plain.csv")
    assert b'"' not in plain.read_bytes()
    assert pl.read_csv(plain).width == 20


def test_a_reading_has_a_process_and_leaves_its_cost(tmp_path, monkeypatch):
    # The process looks for modules where this one does.
    monkeypatch.syspath_prepend(ROOT)
    path, small = written(tmp_path, "plain.csv"), tmp_path / "small.csv"
    small.write_text(reading.SMALL)
    cost = reading.cost_apart("ours", path, NAMES, small)
    assert cost.seconds > 0
    assert cost.peak > 0
    assert cost.size == 20 * 2 * 8 / reading.MIB


def test_ratios_are_medians_of_those_of_rounds():
    rounds = [
        {"ours": Cost(a, 115.0, 10.0), "theirs": Cost(b, 130.0, 10.0), "nothing": Cost(0, 100.0, 0)}
        for a, b in ((1.0, 1.0), (3.0, 1.5), (9.0, 1.0))
    ]
    time, memory = reading.figures("a file", rounds)
    assert (time.measured, time.reached) == (2.0, False)
    assert (memory.measured, memory.reached) == (1.5, True)
    assert "polars 3.00" in memory.detail
