"""The benchmark of robustness: a small share of each row, and its bookkeeping."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brenier.status import FitStatus

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks.robustness import __main__ as robustness
    from benchmarks.robustness import attempts, kills, models, rows, tables, ugly, ugly_tables
    from benchmarks.robustness.alter import altered_array, altered_bytes, altered_data
    from benchmarks.robustness.rows import ROWS, Row
    from benchmarks.robustness.tally import HEADER, LOSES, Tally, lines
    from benchmarks.robustness.ugly_tables import UglyTable
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


# One hidden layer and few iterations: what is looked at are ends, not how good a fit is.
SMALL = {"widths": (4,), "n_radial": 2, "decay": 0.01, "n_estimators": 1, "max_iter": 5}


def drawn(kind, N, n):
    """Return a table of a kind with so many rows and columns."""
    X = ugly_tables.KINDS[kind](np.random.default_rng(3), N + 200, n)
    return UglyTable(kind, X[:N], X[N:])


@pytest.mark.parametrize(
    "kind",
    ["cauchy", "heavy-scales", "near-duplicates", "heavy-ties", "columns", "clusters", "far-rows"],
)
def test_ugly_tables_are_fitted_or_refused(kind):
    end, words, told = ugly.attempt(5, drawn(kind, 40, 2), SMALL)
    assert end in {"worked", "refused", LOSES}, words
    assert words.startswith(f"case 5: {kind}, 40 x 2")
    assert (told is None) == (end == "refused")


def test_a_refused_table_has_the_words_of_its_refusal():
    table = UglyTable("constant", np.ones((20, 2)), np.ones((5, 2)))
    end, words, told = ugly.attempt(0, table, SMALL)
    assert (end, told) == ("refused", None)
    assert "constant column" in words


def fitted(loss):
    """Return a class whose fits are so much worse than the Gaussian."""

    class Fitted:
        report_ = SimpleNamespace(status=FitStatus.CONVERGED)

        def __init__(self, **_):
            pass

        def fit(self, X):
            return self

        def baseline_score_samples(self, X):
            return np.linspace(-1.0, 1.0, len(X))

        def score_samples(self, X):
            return self.baseline_score_samples(X) - loss

        def sample(self, N, random_state):
            return np.zeros((N, 2))

    return Fitted


@pytest.mark.parametrize(
    ("fit", "hangs", "end"),
    [
        (fitted(0.03), 40.0, LOSES),
        (fitted(0.01), 40.0, "worked"),
        (fitted(0.03), 0.0, "hangs"),
        (fitted(np.nan), 40.0, "broken"),
    ],
)
def test_losses_and_faults_of_ugly_tables_are_seen(fit, hangs, end, monkeypatch):
    monkeypatch.setattr(ugly, "ConvexPotentialFlow", fit)
    monkeypatch.setattr(ugly, "HANGS", hangs)
    found = ugly.attempt(0, drawn("cauchy", 40, 2), SMALL)
    assert found.end == end
    assert dict(found.told or {})["kind"] == "cauchy"


def test_the_worst_of_ugly_tables_are_kept(tmp_path, monkeypatch):
    def apart(module, cases, part):
        tally = Tally()
        for case in range(cases):
            tally.add("worked", "", {"loss": 0.1 * case, "error": 0.1 * (case % 2)})
        return tally

    monkeypatch.setattr(attempts, "apart", apart)
    monkeypatch.setattr(ugly, "KEPT", 2)
    assert [told["loss"] for told in ugly.run(6, tmp_path).told] == [0.4, 0.5]


def test_ugly_tables_are_as_ugly_as_they_are_said_to_be():
    tables_ = [ugly_tables.table(case, np.random.default_rng([0, case])) for case in range(150)]
    shapes = np.array([table.rows.shape for table in tables_])
    assert set(shapes[:, 1]) == set(ugly_tables.COLUMNS)
    assert shapes[:, 0].min() < 10
    assert shapes[:, 0].max() > 2000
    counts = {kind: sum(table.kind == kind for table in tables_) for kind in ugly_tables.KINDS}
    assert set(counts.values()) == {10}
    assert all(len(table.fresh) == ugly_tables.FRESH for table in tables_)
    assert all(np.isfinite(table.rows).all() for table in tables_)
    widest = max((table.rows for table in tables_ if table.kind == "scales"), key=np.size)
    spread = np.std(widest, axis=0)
    assert spread.max() / spread.min() > 1e20


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
        tally.add(LOSES, "two", {"loss": 1.0})
        return tally

    monkeypatch.setattr(rows, "ROWS", {})
    monkeypatch.setattr(robustness, "ROWS", {"some": Row(run, 3), "other": Row(run, 1)})
    file = tmp_path / "robustness.json"
    for arguments in (["--only", "some"], ["--only", "other", "--cases", "2"]):
        monkeypatch.setattr(sys, "argv", ["robustness", *arguments, "-o", str(file)])
        robustness.main()
    kept = json.loads(file.read_text())
    assert {name: (row["cases"], row["bad"]) for name, row in kept.items()} == {
        "some": (5, 1),
        "other": (4, 1),
    }
    assert kept["some"]["told"] == [{"loss": 1.0}]
    assert kept["some"]["described"] == ["broken: one", f"{LOSES}: two"]
    table = list(lines(kept))
    assert len(table) == 4
    assert all(line.count("|") == len(HEADER) + 1 for line in table)
    assert table[2] == "| some | 5 | 3 | 0 | 1 | 0 | 0 | 1 | 2 MB |"


def test_the_numbers_of_cases_are_those_that_are_promised():
    promised = {"kill-writer": 1000, "kill-fit": 50, "models": 10_000, "tables": 5000, "ugly": 150}
    assert promised.items() <= {name: row.cases for name, row in ROWS.items()}.items()
