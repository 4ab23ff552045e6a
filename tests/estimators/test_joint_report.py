"""How a fit of a joint density ends, and what it tells: warnings, callbacks, reports."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_fits import ROUNDING, SAME, ends_early, same, small

from brenier.optimizers.progress import Progress
from brenier.status import FitStatus
from brenier.training.phases import PHASES, Listener
from brenier.training.report import FitReport

pytestmark = ends_early
STATIONARITY = 1e-6


def test_iteration_limit_warns_once_with_numbers_and_remedy(X):
    with pytest.warns(ConvergenceWarning) as caught:
        fitted = small(max_iter=3).fit(X)
    assert len(caught) == 1
    message = str(caught[0].message)
    for part in ("'iteration limit'", "3 iterations", "projected gradient", "raise max_iter"):
        assert part in message
    assert fitted.report_.status is FitStatus.ITERATION_LIMIT
    assert fitted.report_.message == message
    assert fitted.n_iter_ == 3


def test_time_limit_warns_and_leaves_the_best_so_far(X):
    with pytest.warns(ConvergenceWarning) as caught:
        fitted = small(max_seconds=0.0).fit(X)
    message = str(caught[0].message)
    for part in ("'time limit'", "after 0 iterations", "the Gaussian was returned", "max_seconds"):
        assert part in message
    assert "nothing was searched" in message
    assert fitted.report_.status is FitStatus.TIME_LIMIT
    assert fitted.report_.is_gaussian
    assert fitted.report_.certificate is None
    np.testing.assert_allclose(fitted.score_samples(X), fitted.baseline_score_samples(X), **SAME)


def test_convergence_is_silent(X):
    # So loose a tolerance is met; a warning would be an error.
    fitted = small(tol=0.03, max_iter=1000).fit(X)
    assert fitted.report_.status in (FitStatus.CONVERGED, FitStatus.CONVERGED_LOOSELY)
    assert fitted.report_.status.finished
    assert fitted.n_iter_ < 1000


@pytest.mark.parametrize(
    ("settings", "at"),
    [
        ({}, (1, 3)),
        ({"validation_fraction": 0.3}, (1, 3)),
        # While the second candidate is tried, and while the second potential is trained.
        ({"validation_fraction": 0.3, "n_radial": 2}, (2, 3)),
        ({"n_estimators": 3}, (2, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("cores", [1, 2])
def test_interruption_leaves_a_fitted_estimator(cores, settings, at, X, use_cores):
    use_cores(cores)

    def interrupt(progress):
        if (progress.run, progress.iteration) == at:
            raise KeyboardInterrupt

    estimator = small(**settings)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, callback=interrupt)
    report = estimator.report_
    assert report.status is FitStatus.INTERRUPTED
    assert "interrupted" in report.message
    assert len(report.run_decay) >= at[0]
    # With more cores others of the runs may have been under way; candidates always are.
    if cores == 1 and "validation_fraction" not in settings:
        assert len(report.run_decay) == at[0]
        # Of the best of the runs so far, of which the last was cut short.
        lengths = [15] * (at[0] - 1) + [at[1]]
        assert estimator.n_iter_ == lengths[np.argmax(report.run_log_likelihood)]
    assert report.train_log_likelihood >= report.gaussian_train_log_likelihood - ROUNDING
    assert np.isfinite(estimator.score_samples(X)).all()
    assert estimator.sample(5).shape == (5, 2)


def test_callback_sees_every_iteration_and_its_errors_are_not_swallowed(X):
    seen = []
    fitted = small().fit(X, callback=seen.append)
    assert all(isinstance(progress, Progress) for progress in seen)
    history = {name: tuple(asdict(p)[name] for p in seen) for name in asdict(seen[0])}
    # NaN, for held-out rows that there are none of, differs from itself.
    assert all(np.isnan(history.pop("heldout_log_likelihood")))
    assert history == {name: fitted.report_.history[name] for name in history}

    def fail(_):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        small().fit(X, callback=fail)


def test_verbose_prints_a_line_a_phase(X, capsys):
    small().fit(X)
    assert capsys.readouterr().out == ""
    small(verbose=1, validation_fraction=0.3, n_radial=2, max_iter=5, random_state=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    # What is compiled already goes without a line.
    phases = [line.split()[2] for line in lines if "compiling" not in line]
    assert phases == ["reading", "selecting", "summing"]
    assert all(" s  " in line for line in lines)
    assert "nats/row" in lines[-1]
    seconds = [float(line.split()[0]) for line in lines]
    assert seconds == sorted(seconds)


def test_verbose_prints_also_every_so_many_iterations(X, capsys):
    small(verbose=5).fit(X)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("run")]
    assert [int(line.split()[3]) for line in lines] == [1, 5, 10, 15]
    assert all("train" in line and "nats/row" in line for line in lines)


class Recorder(Listener):
    def __init__(self):
        self.events = []

    def on_event(self, event):
        self.events.append(event)


def test_a_listener_hears_of_phases_in_order_and_of_the_best_so_far(X):
    heard = Recorder()
    fitted = small(validation_fraction=0.3, n_radial=2, n_estimators=2).fit(X, callback=heard)
    report, events = fitted.report_, heard.events
    phases = list(dict.fromkeys(event.phase for event in events if event.phase != "compiling"))
    assert phases == ["reading", "selecting", "fitting", "summing"]
    elapsed = [event.elapsed for event in events]
    assert elapsed == sorted(elapsed)
    assert elapsed[-1] <= report.seconds["total"]
    best = [event.log_likelihood for event in events if not np.isnan(event.log_likelihood)]
    assert best == sorted(best)
    assert best[-1] == max(report.run_log_likelihood)
    selecting = [event for event in events if event.phase == "selecting"]
    assert {event.of for event in selecting} == {3}
    assert selecting[0].words == "selecting 1 of 3"
    # One candidate after the other, or several at once.
    assert [event.done for event in selecting] == sorted(event.done for event in selecting)
    shares = [event.share for event in selecting if not np.isnan(event.share)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    assert all(event.remaining >= 0 for event in selecting if not np.isnan(event.remaining))


@pytest.mark.parametrize("settings", [{}, {"validation_fraction": 0.3, "n_radial": 2}])
def test_seconds_of_phases_add_up(settings, X):
    seconds = small(**settings).fit(X).report_.seconds
    assert sum(seconds[phase] for phase in PHASES) == pytest.approx(seconds["total"])
    assert all(seconds[phase] >= 0 for phase in PHASES)
    assert seconds["reading"] > 0
    assert seconds["summing"] > 0
    assert (seconds["selecting"] > 0) == bool(settings)


@pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")
def test_why_the_gaussian_was_returned_is_told_apart(X):
    report = small(validation_fraction=0.3, max_seconds=0.0).fit(X).report_
    assert report.verdict.startswith("Nothing was searched: ")
    assert report.verdict.endswith("The model is the Gaussian.")
    reached = replace(report, run_log_likelihood=(-9.0,))
    assert "was cut off (time limit) before it found anything better" in reached.verdict
    assert "cannot be told; raise max_seconds" in reached.verdict
    interrupted = replace(reached, status=FitStatus.INTERRUPTED)
    assert "was cut off (interrupted)" in interrupted.verdict
    for cut_off in (report, reached, interrupted):
        assert "look Gaussian" not in cut_off.verdict
    finished = replace(reached, status=FitStatus.CONVERGED)
    assert "the data look Gaussian, or are too few to tell" in finished.verdict
    few = replace(report, status=FitStatus.CONVERGED)
    assert few.verdict == "The rows are too few for more. The model is the Gaussian."


@pytest.mark.parametrize(("fraction", "n_radial"), [(0.0, 0), (0.3, 0), (0.3, 2)])
def test_report_is_complete_and_consistent(fraction, n_radial, X):
    fitted = small(validation_fraction=fraction, n_radial=n_radial).fit(X)
    report = fitted.report_
    history = report.history
    assert {len(values) for values in history.values()} == {report.n_iter} == {fitted.n_iter_}
    assert history["iteration"] == tuple(range(1, report.n_iter + 1))
    assert set(history["n_rows"]) == {report.n_train}
    for growing in ("work_units", "seconds"):
        assert (np.diff(history[growing]) > 0).all()
        assert history[growing][0] > 0
    assert report.work_units >= history["work_units"][-1] >= report.n_train * report.n_iter
    assert sum(history["newton_steps"]) <= sum(report.newton_steps)
    assert report.n_evaluations >= len(report.newton_steps) >= report.n_iter
    assert len(report.chord_steps) == len(report.newton_steps)
    assert sum(report.chord_steps) > 0
    assert sum(report.newton_steps) > 0
    # The selection, and no other potential.
    assert report.run_decay == ((1e-5, 1e-4, 1e-2) if fraction else (1e-3,))
    assert report.run_n_radial == ((0, n_radial, n_radial) if fraction else (n_radial,))
    candidates = list(zip(report.run_decay, report.run_n_radial, strict=True))
    winner = candidates.index((report.decay, report.n_radial))
    assert report.run_log_likelihood[winner] == max(report.run_log_likelihood)
    assert report.inner_failures == 0
    assert 1 <= report.best_iteration <= report.n_iter
    returned = history["train_log_likelihood"][report.best_iteration - 1]
    assert report.train_log_likelihood == same(returned)
    parts = ("compile", "inner", "gradient", "heldout")
    assert set(report.seconds) == {"total", "runs", *parts, *PHASES}
    assert 0 < sum(report.seconds[part] for part in parts) <= report.seconds["runs"]
    assert report.seconds["runs"] <= len(report.run_decay) * report.seconds["total"]
    assert history["seconds"][-1] <= report.seconds["total"]
    certificate = report.certificate
    assert 0 <= certificate.stationarity < STATIONARITY
    assert certificate.duality_gap >= 0
    assert 0 < certificate.projected_gradient < 1
    if fraction == 0:
        assert np.isnan(history["heldout_log_likelihood"]).all()
        assert np.isnan(report.heldout_log_likelihood)
        assert np.isnan(report.gaussian_heldout_log_likelihood)
    else:
        # Held-out rows need not be looked at in every iteration.
        seen = np.array(history["heldout_log_likelihood"])
        assert np.isfinite(seen[report.best_iteration - 1])
        assert not np.isinf(seen).any()
        assert np.isfinite(report.heldout_log_likelihood)


@pytest.mark.parametrize("fractions", [(0.0, 0.0), (0.3, 0.0), (0.3, 0.05)])
def test_report_comes_back_from_json(fractions, X):
    held_out, judge = fractions
    report = small(validation_fraction=held_out, judge_fraction=judge).fit(X).report_
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    again = FitReport.from_dict(plain)
    assert again.to_dict() == report.to_dict()
    assert again.status is report.status
    assert again.certificate == report.certificate
    assert again.gain == report.gain
    assert (report.gain is None) == (judge == 0)
    np.testing.assert_equal(again.history, report.history)


@pytest.mark.parametrize("settings", [{}, {"judge_fraction": 0.05}, {"max_seconds": 0.0}])
@pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")
def test_report_is_shown_as_a_few_short_lines(settings, X):
    report = small(**settings).fit(X).report_
    lines = repr(report).splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 100
    shown = dict(line.strip().split("  ", 1) for line in lines[1:])
    assert shown["status"].split(" (")[0].strip() == report.status.value
    assert ("the Gaussian" in shown["status"]) == report.is_gaussian
    assert float(shown["seconds"]) == pytest.approx(report.seconds["total"], abs=0.06)
    gain = report.gain
    assert ("gain over Gaussian" in shown) == (gain is not None)
    if gain is not None:
        assert str(gain) in shown["gain over Gaussian"]
