"""The benchmark of speed: its table, its bookkeeping, and processes without caches."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks.peers import PEERS
    from benchmarks.speed import __main__ as speed
    from benchmarks.speed import measurements, process, results
    from benchmarks.speed.compilation import Span, union_length
    from benchmarks.speed.draws import smooth_rows
    from benchmarks.speed.rows import MEASUREMENTS, Measurement, all_rows
    from benchmarks.speed.table import HEADER, Row, lines, measured, ratio
finally:
    sys.path.remove(str(ROOT))

QUICK = Row("quick", "a fit", "s", 4.0, 2.0)
RATE = Row("rate", "a kernel", "Gflop/s", 20.0, 30.0, least=True)
FREE = Row("free", "growth", "GB")
LOAD = [0.5, 0.4, 0.3]
PARTS = ("train", "valid", "test")
HERE = {"processor": "some", "commit": "abc"}


def kept_of(row, *values):
    """Return what is kept of a row after repetitions of these values; None of one that failed."""
    kept = None
    for value in values:
        said = {"failed": "no memory"} if value is None else {"value": value}
        kept = results.with_repetition(kept, row, {**said, "load": LOAD}, HERE)
    return kept


def test_the_length_of_a_union_counts_no_second_twice():
    nested_and_apart = [Span(5.0, 6.0), Span(0.0, 2.0), Span(1.0, 1.5), Span(1.5, 3.0)]
    assert union_length(nested_and_apart) == 4.0
    assert union_length([]) == 0.0


@pytest.mark.parametrize(
    ("row", "figure", "said"),
    [
        (QUICK, 1.0, "stretch"),
        (QUICK, 4.0, "must"),
        (QUICK, 4.1, "MISSED"),
        (RATE, 35.0, "stretch"),
        (RATE, 25.0, "must"),
        (RATE, 1.0, "MISSED"),
        (FREE, 1.0, ""),
        (QUICK, None, ""),
    ],
)
def test_a_figure_reaches_its_target_or_does_not(row, figure, said):
    assert row.reached(figure) == said


def test_the_figure_of_a_row_is_the_median_of_what_did_not_fail():
    kept = kept_of(QUICK, 1.0, None, 9.0, 2.0)
    assert measured(kept) == kept["measured"] == 2.0
    assert ratio(QUICK, 2.0) == kept["ratio"] == 0.5
    assert len(kept["repetitions"]) == 4
    assert measured(kept_of(QUICK, None)) is None
    assert measured(None) is None


def test_the_table_has_a_line_for_every_row_measured_or_not():
    shown = lines([QUICK, RATE, FREE], {"quick": kept_of(QUICK, 1.0, None), "rate": None})
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown]
    assert cells[0] == list(HEADER)
    assert cells[2] == [
        *("quick", "a fit", "4 s", "2 s", "1 s", "0.25", "stretch", "2 (1 failed)", "0.5"),
    ]
    assert cells[3][:5] == ["rate", "a kernel", ">= 20 Gflop/s", ">= 30 Gflop/s", ""]
    assert cells[4][2:] == [""] * 7
    assert len({len(line) for line in shown}) == 1


def test_a_repetition_made_elsewhere_says_where():
    kept = results.with_repetition(
        kept_of(QUICK, 1.0), QUICK, {"value": 2.0, "load": LOAD}, {"processor": "other"}
    )
    assert kept["machine"] == HERE
    assert "machine" not in kept["repetitions"][0]
    assert kept["repetitions"][1]["machine"] == {"processor": "other"}


def test_results_come_back_as_they_were_written(tmp_path):
    file = tmp_path / "folder" / "speed.json"
    assert results.read(file) == {}
    kept = {"quick": kept_of(QUICK, 1.0)}
    results.write(kept, file)
    assert results.read(file) == kept
    assert [path.name for path in file.parent.iterdir()] == ["speed.json"]


def test_rows_measured_anew_take_their_place_and_leave_the_others(tmp_path):
    file = tmp_path / "speed.json"
    results.write({"free": kept_of(FREE, 1.0), "quick": kept_of(QUICK, 7.0)}, file)
    values = iter([3.0, 5.0, 4.0, 1.0])
    quick = Measurement((QUICK,), lambda place: {"quick": measurements.Figure(next(values))})
    speed.measure(quick, 3, file, append=False)
    assert [one["value"] for one in results.read(file)["quick"]["repetitions"]] == [3.0, 5.0, 4.0]
    speed.measure(quick, 1, file, append=True)
    assert results.read(file)["quick"]["measured"] == 3.5
    assert results.read(file)["free"]["measured"] == 1.0


def test_what_fails_is_kept_and_what_cannot_be_measured_is_left_out(tmp_path, capsys):
    file = tmp_path / "speed.json"

    def fails(place):
        raise process.FailedProcess("out of memory")

    def cannot(place):
        raise measurements.CannotMeasure("no data")

    speed.measure(Measurement((QUICK,), fails), 1, file, append=False)
    speed.measure(Measurement((RATE,), cannot), 1, file, append=False)
    kept = results.read(file)
    assert kept["quick"]["repetitions"][0]["failed"] == "out of memory"
    assert kept["quick"]["measured"] is None
    assert "rate" not in kept
    assert "skipped rate: no data" in capsys.readouterr().out


def test_names_are_unique_and_patterns_choose_among_them():
    names = [row.name for row in all_rows()]
    assert len(set(names)) == len(names)
    assert [one.name for one in speed.chosen(["fit-*"])] == [
        *("fit-4", "fit-8", "fit-10", "fit-13", "fit-26"),
    ]
    assert [one.name for one in speed.chosen(["command-again"])] == ["command-first"]
    assert speed.chosen([]) == list(MEASUREMENTS)
    with pytest.raises(SystemExit, match="got none-such"):
        speed.chosen(["none-such"])


@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda one: one.name)
def test_every_measurement_gives_the_figures_of_its_rows(measurement, tmp_path, monkeypatch):
    said = {
        **{"compiling": 1.0, "seconds": 2.0, "whole_seconds": 3.0, "peak_mib": 100.0, "gain": 0.5},
        **{"first": 1.0, "further": [0.01, 0.03, 0.02], "load_seconds": 0.1},
        **{"resident_mib": [100.0 + k for k in range(30)], "score": 0.0, "blocks": [1.0, 2.0]},
    }
    rates = {"features": 1.0, "newton": 2.0, "gradient": 3.0, "whole_seconds": 4.0}

    def run_job(job, caches, **arguments):
        return dict(rates if job == "flops.rates" else said)

    monkeypatch.setattr(measurements, "run_job", run_job)
    monkeypatch.setattr(measurements, "wall_seconds", lambda command, caches, cwd: 1.0)
    monkeypatch.setattr(measurements, "smooth_rows", lambda N, n, seed: np.zeros((3, n)))
    monkeypatch.setattr(measurements, "_posterior", lambda name, place: dict.fromkeys(PARTS))
    monkeypatch.setattr(type(PEERS["zuko-nsf"]), "missing", ())
    new, shared = tmp_path / "new", tmp_path / "shared"
    new.mkdir()
    shared.mkdir()
    found = measurement.measure(measurements.Place(new, shared))
    assert set(found) == {row.name for row in measurement.rows}
    assert all(np.isfinite(figure["value"]) for figure in found.values())
    json.dumps(found)


def test_the_draws_are_the_same_twice_and_not_gaussian():
    X = smooth_rows(4000, 3, 0)
    assert np.array_equal(X, smooth_rows(4000, 3, 0))
    assert not np.array_equal(X, smooth_rows(4000, 3, 1))
    skewness = np.mean(((X - X.mean(axis=0)) / X.std(axis=0)) ** 3, axis=0)
    assert (skewness[1:] > 0.3).all()


def test_the_readmes_command_is_found():
    assert measurements.readme_command()[:2] == ["brenier", "fit"]


def test_a_process_finds_no_cache_of_its_callers(tmp_path):
    base = {
        "JAX_COMPILATION_CACHE_DIR": "old",
        "JAX_ENABLE_X64": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": "old",
        "PYTHONPATH": "src",
    }
    variables = process.environment(tmp_path, base)
    assert "old" not in variables.values()
    assert "PYTHONDONTWRITEBYTECODE" not in variables
    assert variables["XDG_CACHE_HOME"] == variables["HOME"] == str(tmp_path)
    assert variables["JAX_ENABLE_X64"] == "1"
    assert variables["PYTHONPATH"] == os.path.abspath("src")


def test_a_job_answers_from_a_process_of_its_own(tmp_path):
    shapes = []
    said = process.run_job("fits.many", tmp_path / "caches", shapes=shapes, rounds=1)
    assert said["resident_mib"] == []
    assert said["peak_mib"] > 10
    assert said["whole_seconds"] > 0
    with pytest.raises(process.FailedProcess, match="AttributeError"):
        process.run_job("fits.none_such", tmp_path / "caches")


def test_results_are_plain_json():
    assert json.loads(json.dumps(measurements.Figure(1.0, programs=3))) == {
        "value": 1.0,
        "programs": 3,
    }
