"""Limits of time that hold, whatever compiles: fits return in time with what there is."""

import threading
import time

import jax
import numpy as np
import pytest
from small_fits import rows

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    TriangularConvexPotentialFlow,
    load,
)
from brenier.estimators.parameters import settings_of
from brenier.status import FitStatus
from brenier.training import composition, ensemble, fit, judge
from brenier.training.as_seen import SeenLoss
from brenier.training.background import NAME, left_behind
from brenier.training.run import UnderWay, heldout_sample

# What a compilation that does not end in time takes (seconds), and a fit beyond its limit: the
# share and the second that users are promised.
SLOW, SHARE, MORE = 12.0, 1.1, 1.0
LIMIT = 1.0
# Enough for what a fit compiles before its search to be asked for.
LITTLE = 0.5
# Of a machine so busy that the first ends before there is an iterate, the next.
LIMITS = (LIMIT, 2 * LIMIT, 4 * LIMIT)
# Enough for some to judge the gain.
N_ROWS = 600
SMALL = {"widths": (4,), "n_estimators": 1, "max_iter": 10**6, "n_iter_no_change": 10**6}
SMALL |= {"tol": 0.0, "max_seconds": LIMIT}
# Wide enough not to converge within the limit.
JOINT = SMALL | {"widths": (16, 16), "n_radial": 0, "noise": 0.0}
CONDITIONAL = SMALL | {"widths": (16, 16, 16), "context_widths": (16,), "decay": 1e-4}
pytestmark = pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")


def of(kind, limit=LIMIT):
    """Return a fit of one kind, to be called."""
    X = rows(n_rows=N_ROWS)
    joint, conditional = JOINT | {"max_seconds": limit}, CONDITIONAL | {"max_seconds": limit}
    if kind == "conditional":
        return lambda: ConditionalConvexPotentialFlow(**conditional).fit(X[:, :1], X[:, 1])
    if kind == "composed":
        return lambda: ConvexPotentialFlow(n_maps=2, **joint).fit(X)
    if kind == "triangular":
        parts = {
            "leading": ConvexPotentialFlow(**joint),
            "following": ConditionalConvexPotentialFlow(**conditional),
        }
        return lambda: TriangularConvexPotentialFlow([[0], [1]], max_seconds=limit, **parts).fit(X)
    return lambda: ConvexPotentialFlow(**joint).fit(X)


def without_search(kind):
    """Fit with no time at all, so that what every fit compiles before its search is compiled."""
    fit_ = of(kind, LITTLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnderWay, "_call_once", lambda *_: time.sleep(LITTLE))
        fit_()
    wait_for_work()


def wait_for_work():
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join()
    assert not left_behind()


@pytest.fixture
def slow(monkeypatch):
    """Return what lets a function take as long as a compilation that does not end in time."""
    released = threading.Event()

    def slow(where, name):
        as_it_is = getattr(where, name)

        def slowly(*arguments, **named):
            released.wait(SLOW)
            return as_it_is(*arguments, **named)

        monkeypatch.setattr(where, name, slowly)
        return released

    return slow


@pytest.mark.parametrize("kind", ["joint", "composed", "conditional", "triangular"])
def test_a_compilation_that_does_not_end_is_left_behind(kind, slow):
    without_search(kind)
    released = slow(UnderWay, "_call_once")
    before = time.perf_counter()
    fitted = of(kind)()
    assert time.perf_counter() - before < SHARE * LIMIT + MORE
    assert left_behind()
    for report in fitted.reports_ if kind == "triangular" else [fitted.report_]:
        assert report.status is FitStatus.TIME_LIMIT
        assert report.is_gaussian
        assert not report.searched
        assert "nothing was searched" in report.message
        assert report.verdict.startswith("Nothing was searched: ")
        assert "compiling" in report.verdict
        assert "raise max_seconds" in report.verdict
        assert "look Gaussian" not in report.verdict
    kept = fitted.reports_ if kind == "triangular" else [fitted.report_.to_dict()]
    released.set()
    wait_for_work()
    # What ended afterwards has changed nothing.
    assert kept == (fitted.reports_ if kind == "triangular" else [fitted.report_.to_dict()])


@pytest.mark.parametrize(
    ("kind", "where", "name"),
    [
        ("joint", ensemble, "final_solve"),
        ("composed", composition, "final_solve"),
        ("conditional", fit, "measure"),
        ("joint", fit, "measure"),
    ],
)
def test_an_end_that_does_not_end_leaves_the_best_run_as_it_is(kind, where, name, slow):
    # Compiled, so that there are iterates in time.
    of(kind)()
    wait_for_work()
    released = slow(where, name)
    for limit in LIMITS:
        released.clear()
        before = time.perf_counter()
        fitted = of(kind, limit)()
        assert time.perf_counter() - before < SHARE * limit + MORE
        if fitted.report_.searched:
            break
        released.set()
        wait_for_work()
    report = fitted.report_
    assert report.status is FitStatus.TIME_LIMIT
    assert report.searched
    assert not report.is_gaussian
    assert report.best_iteration >= 1
    if report.gain is None:
        # Judge rows have to go through the first map, by a program of its own.
        assert kind == "composed"
        assert report.not_judged == judge.NO_TIME
        assert report.verdict.startswith("Not judged: there was no time for it.")
    else:
        assert report.gain.mean > 0
        assert 0 < report.gain.standard_error < 1
        assert report.verdict.startswith("The density is better than a Gaussian")
    released.set()
    wait_for_work()
    # The numbers are those of the model that is returned.
    X = rows(n_rows=N_ROWS)
    if kind == "joint":
        known = report.train_log_likelihood * report.n_train
        known += report.heldout_log_likelihood * report.n_heldout
        known += report.log_likelihood.mean * report.n_judge
        # What judge rows say is an estimate of the mean over rows like them.
        error = report.log_likelihood.standard_error * report.n_judge
        assert abs(fitted.score(X) * len(X) - known) < 3 * error


def test_losses_by_the_program_of_a_run_are_those_of_its_map():
    seen = []

    def spy(fold, runs, *rest):
        seen.extend(run for run in runs if run.best is not None)
        return conclude(fold, runs, *rest)

    conclude = ensemble.conclude
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "conclude", spy)
        flow = ConvexPotentialFlow(**JOINT | {"max_iter": 5, "max_seconds": None, "decay": 1e-3})
        with pytest.warns(UserWarning, match="iteration limit"):
            flow.fit(rows())
    (run,) = seen
    fold = run.job.fold
    unequal = fold.split.train[:7]._replace(weights=np.arange(1.0, 8.0))
    with jax.enable_x64(True):
        program = SeenLoss(run, heldout_sample(run.job, settings_of(flow, conditional=False)))
        expected = fold.losses(run.job.problem.map(run.best.theta, run.best.w))
        found = [program.mean(part) for part in fold.split]
        each = [program.mean(unequal[k : k + 1]) for k in range(7)]
        together = program.mean(unequal)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert together == pytest.approx(np.average(each, weights=unequal.weights), rel=1e-12)


def test_a_model_without_probes_can_be_saved_and_loaded(tmp_path):
    flow = ConvexPotentialFlow(**JOINT | {"max_iter": 5, "max_seconds": None, "decay": 1e-3})
    with pytest.warns(UserWarning, match="iteration limit"):
        flow.fit(rows())
    flow.save(tmp_path / "m.brenier", probes=False)
    again = load(tmp_path / "m.brenier")
    np.testing.assert_array_equal(again.score_samples(rows()), flow.score_samples(rows()))


def test_a_gaussian_is_reported_and_saved_without_compiling_its_density(tmp_path, monkeypatch):
    def fail(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr("brenier.training.likelihood.log_density", fail)
    monkeypatch.setattr("brenier.training.likelihood.potential_losses", fail)
    monkeypatch.setattr("brenier.estimators.abstract_density.log_density", fail)
    flow = ConvexPotentialFlow(**JOINT | {"max_seconds": 0.0}).fit(rows())
    assert flow.report_.gain.mean == 0.0
    flow.save(tmp_path / "m.brenier")
    monkeypatch.undo()
    # The load compares the density by the flow with that by the formula.
    again = load(tmp_path / "m.brenier")
    np.testing.assert_allclose(
        again.score_samples(rows()), again.baseline_score_samples(rows()), rtol=1e-9
    )
