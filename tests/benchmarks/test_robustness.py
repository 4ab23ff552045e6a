"""The benchmark of robustness: a small share of each row, and its bookkeeping."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks.robustness import __main__ as robustness
    from benchmarks.robustness import attempts, kills, models, rows, tables
    from benchmarks.robustness.alter import altered_array, altered_bytes, altered_data
    from benchmarks.robustness.rows import ROWS, Row
    from benchmarks.robustness.tally import HEADER, Tally, lines
finally:
    sys.path.remove(str(ROOT))


# Of models, four of every kind.
SHARES = {models.one: range(0, 11 * attempts.PART, attempts.PART // 4), tables.one: range(60)}


@pytest.mark.parametrize("case", SHARES)
def test_altered_files_are_refused_or_work(case, tmp_path):
    tally = attempts.here(case, SHARES[case], tmp_path)
    assert tally.described == []
    assert tally.cases == len(SHARES[case])
    assert tally.ends["refused"] > 0


def test_every_kind_of_model_is_altered():
    names = {original.name for original in models.originals()}
    assert names == {path.stem for path in models.FIXTURES.glob("*.brenier")}


def test_killed_writers_leave_whole_models(tmp_path):
    tally = kills.writers(5, tmp_path)
    assert tally.described == []
    assert tally.cases == 5
    assert [path.name for path in tmp_path.iterdir()] == ["m.brenier"]


def test_files_as_they_are_work_and_sealed_anew_too(tmp_path):
    for original in models.originals():
        path = tmp_path / f"{original.name}.brenier"
        path.write_bytes(models.sealed(*original.old, original.version))
        assert models.end_of(path, tmp_path / "again") == "worked"


def test_alterations_alter():
    rng = np.random.default_rng(0)
    data = {"a": [1, 2, {"b": None}], "c": "text"}
    before = json.dumps(data)
    assert sum(json.dumps(altered_data(data, rng)) != before for _ in range(100)) > 80
    assert json.dumps(data) == before
    assert sum(altered_bytes(b"some bytes", rng) != b"some bytes" for _ in range(100)) > 80
    array = np.eye(2)
    others = [altered_array(array, rng) for _ in range(100)]
    same = [o.shape == (2, 2) and o.dtype == float and np.array_equal(o, array) for o in others]
    assert sum(same) < 40
    np.testing.assert_array_equal(array, np.eye(2))


def case_of(end):
    """Return a case that ends so: by raising, waiting, or with these words."""

    def case(number, rng, folder):
        if end == "raises":
            raise KeyError("no")
        if end == "waits":
            time.sleep(100)
        return end

    return case


@pytest.mark.parametrize(
    ("end", "counted"),
    [("worked", "worked"), ("raises", "other exceptions"), ("waits", "hangs")],
)
def test_every_end_is_counted(end, counted, tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "SECONDS", 0.1)
    tally = attempts.here(case_of(end), range(2), tmp_path)
    assert tally.ends == {counted: 2}
    assert tally.bad == (0 if counted == "worked" else 2)
    assert len(tally.described) == tally.bad


def test_a_process_that_dies_is_one_broken_case(tmp_path, monkeypatch):
    (tmp_path / "dying.py").write_text(
        "import os, signal\n"
        "def one(case, rng, folder):\n"
        "    if case == 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return 'worked'\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    tally = attempts.apart("dying", 5)
    assert tally.ends == {"worked": 4, "broken": 1}
    assert tally.described == [f"broken: case 2: the process ended with {-signal.SIGKILL}"]
    assert tally.memory > 0


def test_rows_are_kept_and_shown(tmp_path, monkeypatch):
    def run(cases, folder):
        tally = Tally(memory=2_000_000)
        for _ in range(cases):
            tally.add("refused")
        tally.add("broken", "one")
        return tally

    monkeypatch.setattr(rows, "ROWS", {})
    monkeypatch.setattr(robustness, "ROWS", {"some": Row(run, 3), "other": Row(run, 1)})
    file = tmp_path / "robustness.json"
    for arguments in (["--only", "some"], ["--only", "other", "--cases", "2"]):
        monkeypatch.setattr(sys, "argv", ["robustness", *arguments, "-o", str(file)])
        robustness.main()
    kept = json.loads(file.read_text())
    assert {name: (row["cases"], row["bad"]) for name, row in kept.items()} == {
        "some": (4, 1),
        "other": (3, 1),
    }
    table = list(lines(kept))
    assert len(table) == 4
    assert all(line.count("|") == len(HEADER) + 1 for line in table)
    assert table[2] == "| some | 4 | 3 | 0 | 1 | 0 | 0 | 2 MB |"


def test_the_numbers_of_cases_are_those_that_are_promised():
    promised = {"kill-writer": 1000, "kill-fit": 50, "models": 10_000, "tables": 5000}
    assert promised.items() <= {name: row.cases for name, row in ROWS.items()}.items()
