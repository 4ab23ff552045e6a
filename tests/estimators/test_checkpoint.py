"""Checkpoints: a fit that goes on after its process has died has the model it would have had."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from small_fits import ends_early, rows, small

from brenier import (
    Algorithm,
    Checkpoint,
    ConditionalConvexPotentialFlow,
    ConvexPotentialMixture,
    TriangularConvexPotentialFlow,
    __version__,
)
from brenier.io.journal import Journal, JournalError
from brenier.optimizers.named import OPTIMIZERS
from brenier.varpro.function import FullFunction, ReducedFunction
from brenier.varpro.mini_batches import MiniBatchFunction

pytestmark = ends_early
ABOUT = {"brenier": __version__}
HELD_OUT = {"validation_fraction": 0.2, "judge_fraction": 0.1}
FEW = {"widths": (8,), "max_iter": 4, "n_estimators": 1, "decay": 1e-3, **HELD_OUT}


def joint(**changes):
    return small(**{"max_iter": 6, **HELD_OUT, **changes})


def conditional():
    return ConditionalConvexPotentialFlow(context_widths=(4,), **FEW)


def mixture():
    return ConvexPotentialMixture(**FEW, n_radial=0, noise=0.0)


def triangular():
    leading = joint(widths=(8,))
    return TriangularConvexPotentialFlow([[0], [1]], leading=leading, following=conditional())


KINDS = {
    "two potentials": partial(joint, n_estimators=2, decay=None),
    "two maps": partial(joint, n_maps=2, max_iter=3),
    "conditional": conditional,
    "mixture": mixture,
    "triangular": triangular,
}
MADE_BY = {
    name: partial(joint, max_iter=3, decay=1e-3, algorithm=Algorithm(optimizer=name))
    for name in OPTIMIZERS
}


def fitted(estimator, X, path=None):
    parts = (X[:, :1], X[:, 1:]) if isinstance(estimator, ConditionalConvexPotentialFlow) else (X,)
    if path is None:
        return estimator.fit(*parts)
    with Checkpoint(path):
        return estimator.fit(*parts)


def densities(estimator, X):
    parts = (X[:, :1], X[:, 1:]) if isinstance(estimator, ConditionalConvexPotentialFlow) else (X,)
    return estimator.score_samples(*parts)


def iterates(estimator):
    reports = estimator.reports_ if hasattr(estimator, "reports_") else [estimator.report_]
    return [
        (report.status, report.best_iteration, report.newton_steps, report.work_units)
        for report in reports
    ]


@pytest.fixture
def computed(monkeypatch):
    """Return how many evaluations have been computed, in a list of one."""
    count = [0]
    for kind in (ReducedFunction, FullFunction):
        of_kind = kind.compute

        def counted(self, x, of_kind=of_kind):
            count[0] += self.memory is not None
            return of_kind(self, x)

        monkeypatch.setattr(kind, "compute", counted)
    after = MiniBatchFunction._after

    def counted_descent(self, descent, batches):
        before = self.memory._number if self.memory is not None else 0
        known = self.memory is not None and not self.memory.is_empty
        found = after(self, descent, batches)
        count[0] += self.memory is not None and not known and self.memory._number > before
        return found

    monkeypatch.setattr(MiniBatchFunction, "_after", counted_descent)
    return count


@pytest.mark.parametrize("made", [*KINDS.values(), *MADE_BY.values()], ids=[*KINDS, *MADE_BY])
def test_from_wherever_it_was_cut_off_a_fit_goes_on_to_the_same_model(made, tmp_path, computed):
    X, path, cut = rows(), tmp_path / "whole", tmp_path / "cut"
    undisturbed = fitted(made(), X)
    assert computed == [0]
    kept = fitted(made(), X, path)
    whole, data = computed[0], path.read_bytes()
    assert whole > 0
    for share in (0.5, 1.0):
        cut.write_bytes(data[: int(share * len(data))])
        computed[0] = 0
        again = fitted(made(), X, cut)
        np.testing.assert_array_equal(densities(again, X), densities(undisturbed, X))
        assert iterates(again) == iterates(kept) == iterates(undisturbed)
        assert computed[0] < whole
        assert (computed[0] == 0) == (share == 1.0)
        # The file holds all of the fit again.
        assert n_evaluations(cut) == n_evaluations(path)


def n_evaluations(path):
    return sum("run" in entry.texts for entry in entries_of(path))


def entries_of(path):
    journal, entries = Journal.open(path, ABOUT)
    journal.close()
    return entries


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"widths": (4,)}, r"it has widths \(8,\), not \(4,\)"),
        ({"random_state": 3}, "it has random_state 0, not 3"),
        ({"max_iter": 3}, "it has max_iter 2, not 3"),
    ],
)
def test_other_settings_are_refused_by_name(change, got, tmp_path):
    X, path = rows(), tmp_path / "fit.checkpoint"
    fitted(joint(max_iter=2, random_state=0), X, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=got):
        fitted(joint(**{"max_iter": 2, "random_state": 0, **change}), X, path)
    assert path.read_bytes() == before


def test_another_table_is_refused_and_how_it_differs_is_said(tmp_path):
    X, path = rows(), tmp_path / "fit.checkpoint"
    fitted(joint(max_iter=2), X, path)
    with pytest.raises(ValueError, match=r"it has rows 300, not 299; table \w+, not \w+\. Give"):
        fitted(joint(max_iter=2), X[1:], path)
    with pytest.raises(ValueError, match=r"it has table \w+, not \w+\. Give the same"):
        fitted(joint(max_iter=2), X + 1.0, path)
    with pytest.raises(ValueError, match=r"it has validation none, not \w+"), Checkpoint(path):
        joint(max_iter=2).fit(X, validation_data=X[:50])
    with pytest.raises(ValueError, match="it has kind ConvexPotentialFlow, not Conditional"):
        fitted(conditional(), X, path)


def test_several_fits_share_a_file_in_their_order(tmp_path, computed):
    path, X = tmp_path / "fits.checkpoint", rows()
    for time_ in range(2):
        computed[0] = 0
        with Checkpoint(path) as checkpoint:
            assert checkpoint.goes_on == (time_ == 1)
            first = joint(max_iter=2).fit(X)
            second = joint(max_iter=2).fit(X)
        assert (computed[0] > 0) == (time_ == 0)
        np.testing.assert_array_equal(first.score_samples(X), second.score_samples(X))


def test_without_a_context_nothing_is_kept(tmp_path):
    path = tmp_path / "fit.checkpoint"
    with Checkpoint(path):
        pass
    before = path.read_bytes()
    joint(max_iter=2).fit(rows())
    assert path.read_bytes() == before


def test_a_run_that_comes_out_otherwise_is_computed_from_there(tmp_path, computed):
    """As with other libraries: the file's values are believed only at the points they are of."""
    X, path, other = rows(), tmp_path / "fit.checkpoint", tmp_path / "other"
    undisturbed = fitted(joint(), X, path)
    whole = computed[0]
    entries = entries_of(path)
    evaluations = [k for k, entry in enumerate(entries) if entry.texts.get("what") == "evaluation"]
    place = evaluations[len(evaluations) // 2]
    entries[place] = entries[place]._replace(texts={**entries[place].texts, "at": "elsewhere"})
    journal, _ = Journal.open(other, ABOUT)
    for entry in entries:
        journal.add(entry)
    journal.close()
    for _ in range(2):
        computed[0] = 0
        again = fitted(joint(), X, other)
        np.testing.assert_array_equal(again.score_samples(X), undisturbed.score_samples(X))
        assert computed[0] < whole
    assert computed[0] == 0


def test_what_could_not_be_written_is_said_and_the_fit_goes_on(tmp_path, monkeypatch):
    def full(file, data):
        raise OSError(28, "No space left on device")

    checkpoint = Checkpoint(tmp_path / "fit.checkpoint")
    checkpoint.__enter__()
    monkeypatch.setattr("brenier.io.journal._write", full)
    flow = joint(max_iter=2).fit(rows())
    with pytest.warns(UserWarning, match="could not be written to the end: No space left"):
        checkpoint.__exit__(None, None, None)
    assert np.isfinite(flow.score(rows()))


def test_a_file_of_another_kind_is_refused_before_the_fit(tmp_path):
    path = tmp_path / "model.brenier"
    path.write_bytes(b"something else")
    with pytest.raises(JournalError, match="file of another kind"), Checkpoint(path):
        pass
    assert path.read_bytes() == b"something else"


SCRIPT = """
import sys, warnings
sys.path.insert(0, {tests!r})
from brenier import Checkpoint
from small_fits import rows, small
warnings.simplefilter("ignore")
with Checkpoint(sys.argv[1]):
    small(**{settings!r}).fit(rows())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process so")
def test_after_a_process_was_killed_another_ends_with_the_model_of_one_left_alone(
    tmp_path, computed
):
    settings = {"max_iter": 150, "n_estimators": 2, "decay": None, "validation_fraction": 0.2}
    code = SCRIPT.format(tests=str(Path(__file__).parents[1]), settings=settings)
    path, X = tmp_path / "fit.checkpoint", rows()
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as process:
        # Killed in the midst of its writing.
        while size_of(path) < 200_000:
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    again = fitted(small(**settings), X, path)
    made = computed[0]
    undisturbed = fitted(small(**settings), X, tmp_path / "undisturbed")
    assert 0 < made < computed[0] - made
    np.testing.assert_array_equal(again.score_samples(X), undisturbed.score_samples(X))


def size_of(path):
    return os.stat(path).st_size if path.exists() else 0
