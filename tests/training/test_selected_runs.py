"""Selection with real runs: the same as short runs and the best of them anew; nobody hangs."""

import _thread
import signal
from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from small_problem import N_ROWS, WIDTHS, rows

from brenier.data.rows import Split, WeightedRows
from brenier.optimizers.early_stopping import Clock
from brenier.optimizers.progress import Offsets
from brenier.status import FitStatus
from brenier.training import ensemble
from brenier.training.ensemble import train_potentials
from brenier.training.families import JointFamily
from brenier.training.folds import Fold
from brenier.training.meeting import Standing
from brenier.training.run import run
from brenier.training.selection import Start
from brenier.training.session import Session
from brenier.training.settings import default_settings

pytestmark = pytest.mark.usefixtures("x64")

RUNG, MANY = 6, 11
SETTINGS = replace(
    default_settings(),
    widths=WIDTHS,
    decays=(1e-1, 1e-3, 1e-5),
    n_radial=0,
    tau=1e-3,
    noise=0.0,
    max_iter=MANY,
    rung=RUNG,
    # Three of them begin; the selection's runner-up is the fourth.
    n_estimators=4,
)
# A run that waits for what never comes fails a test instead of blocking it (seconds).
TIMEOUT = 60.0


def fold():
    X, weights = rows()
    whole = WeightedRows(X, weights, np.arange(N_ROWS) / N_ROWS)
    split = Split(whole, whole[:40].at(X[:40] + 0.1))
    return Fold.of(split, split, Offsets(), JointFamily(), SETTINGS, seed=0)


def train(session=None, runner=run, **changes):
    settings = replace(SETTINGS, **changes)
    session = Session() if session is None else session
    (trained,) = train_potentials([fold()], JointFamily(), settings, session, runner)
    return trained


def anew():
    """Return short runs of all candidates, and the best of them run again from the start."""
    where, family = fold(), JointFamily()
    weights = family.start(
        where.split.train.X, SETTINGS, where.candidates, np.random.default_rng(0)
    )

    def made(candidate, max_iter):
        criteria = replace(SETTINGS.criteria, max_iter=max_iter)
        return run(
            Start(where, weights, 0).job(family, SETTINGS, candidate, criteria, 1),
            SETTINGS,
            Session(),
        )

    short = [made(candidate, RUNG) for candidate in where.candidates]
    best = min(short, key=lambda one: Standing.of(one).loss)
    return short, made(best.job.hyperparameters, MANY)


def assert_same(one, other):
    assert (one.status, one.job.hyperparameters) == (other.status, other.job.hyperparameters)
    np.testing.assert_array_equal(one.best.theta, other.best.theta)
    np.testing.assert_array_equal(one.best.w, other.best.w)
    for what in ("train_log_likelihood", "heldout_log_likelihood", "newton_steps", "work_units"):
        assert [getattr(p, what) for p in one.iterations] == [
            getattr(p, what) for p in other.iterations
        ]


@pytest.fixture(params=["one core", "all cores"])
def cores(request):
    """Leave this process one core, or all that it has."""
    if request.param == "one core":
        request.getfixturevalue("one_core")


@pytest.mark.usefixtures("cores")
def test_the_winner_goes_on_as_if_it_were_run_again():
    trained, (short, whole) = train(), anew()
    candidates = trained.runs[: len(short)]
    (k,) = [k for k, one in enumerate(candidates) if len(one.iterations) > RUNG]
    assert candidates[k].job.hyperparameters == whole.job.hyperparameters
    for i, one in enumerate(candidates):
        assert_same(one, whole if i == k else short[i])
    # Runs from the other starts, with the same hyperparameters.
    others = trained.runs[len(short) :]
    assert [one.job.number for one in trained.runs] == [1, 2, 3, 4, 5]
    assert {one.job.hyperparameters for one in others} == {whole.job.hyperparameters}
    assert [len(one.iterations) for one in others] == [MANY, MANY]


def test_losers_end_where_they_meet():
    trained = train(n_estimators=1)
    assert sorted(len(one.iterations) for one in trained.runs) == [RUNG, RUNG, MANY]
    whole = {one.job.hyperparameters: one for one in train(rung=MANY, n_estimators=1).runs}
    for one in trained.runs:
        longer = whole[one.job.hyperparameters].iterations[: len(one.iterations)]
        assert [p.train_log_likelihood for p in one.iterations] == [
            p.train_log_likelihood for p in longer
        ]


def test_what_is_best_where_it_left_the_meeting_ended_as_those_did_that_went_on():
    def favoured(job, settings, session):
        made = run(job, settings, session)
        if len(made.iterations) > RUNG:
            return replace(made, status=FitStatus.STOPPED_ON_VALIDATION)
        return replace(made, best=replace(made.best, heldout_loss=-100.0))

    trained = train(runner=favoured, n_estimators=1)
    assert trained.winner.left_meeting
    assert trained.winner.status is FitStatus.ITERATION_LIMIT
    assert trained.status is FitStatus.STOPPED_ON_VALIDATION
    assert [one.left_meeting for one in trained.runs].count(True) == 2


def test_other_starts_are_of_the_same_potential_or_of_more():
    assert [one.job.member for one in train(n_init=2, n_estimators=1).runs] == [0, 0, 0, 0]
    results = train_potentials([fold(), fold()], JointFamily(), SETTINGS, Session())
    assert [[one.job.member for one in trained.runs] for trained in results] == [
        [0, 0, 0, 1, 2],
        [0, 1, 2],
    ]


@pytest.mark.parametrize(
    ("n_estimators", "members", "summed"),
    [(1, [0, 0, 0], 1), (2, [0, 0, 0, 1], 2), (3, [0, 0, 0, 1], 3), (4, [0, 0, 0, 1, 2], 4)],
)
def test_the_runner_up_is_one_of_three_potentials_or_more(
    monkeypatch, n_estimators, members, summed
):
    seen = []

    def noted(fold, runs, *others):
        seen.extend(runs)
        return summation(fold, runs, *others)

    summation = ensemble._sum
    monkeypatch.setattr(ensemble, "_sum", noted)
    trained = train(n_estimators=n_estimators)
    assert [one.job.member for one in trained.runs] == members
    of_selection = sorted(trained.runs[:3], key=lambda one: one.criterion)
    numbers = [one.job.number for one in of_selection[: 1 + (n_estimators > 2)]]
    others = [one.job.number for one in trained.runs[3:]]
    assert sorted(one.job.number for one in seen) == sorted([*numbers, *others])
    assert len(seen) == summed


def test_other_starts_begin_while_the_winner_goes_on():
    met = Event()

    def meeting(job, settings, session):
        if job.pause is None:
            met.set()
        return run(job, settings, session)

    def wait(progress):
        if progress.run <= 3 and progress.iteration == RUNG + 1:
            assert met.wait(TIMEOUT)

    # Told one call at a time, the winner waits before any other has an iterate.
    trained = train(Session(tell=wait), meeting)
    assert met.is_set()
    assert max(len(one.iterations) for one in trained.runs) == MANY


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_run_that_fails_stops_all_and_raises(number):
    def fails(job, settings, session):
        if job.number == number:
            raise ValueError("no good")
        return run(job, settings, session)

    session = Session()
    with pytest.raises(ValueError, match="no good"):
        train(session, fails)
    assert session.clock.stop.is_set()


@pytest.mark.usefixtures("cores")
def test_time_that_is_up_while_some_wait_ends_all():
    def never_there(job, settings, session):
        if job.number == 3:
            # Never comes to the meeting.
            session.clock.stop.wait(TIMEOUT)
        return run(job, settings, session)

    # Compiled before the clock starts.
    train(max_iter=1)
    trained = train(Session(Clock(2.0)), never_there)
    assert trained.status is FitStatus.TIME_LIMIT
    assert [one.status for one in trained.runs[:2]] == [FitStatus.TIME_LIMIT] * 2
    assert len(trained.runs) == 3
    assert all(len(one.iterations) <= RUNG for one in trained.runs)


@pytest.fixture
def control_c():
    """Let an interrupt raise KeyboardInterrupt, which pytest-xdist's workers ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("cores")
def test_control_c_while_some_wait_ends_all(control_c):
    def never_there(job, settings, session):
        if job.number == 3:
            # The jobs have been handed out by then.
            Event().wait(0.2)
            control_c()
            session.clock.stop.wait(TIMEOUT)
        return run(job, settings, session)

    trained = train(runner=never_there)
    assert trained.status is FitStatus.INTERRUPTED
    assert [one.status for one in trained.runs] == [FitStatus.INTERRUPTED] * 3
    assert np.isfinite(trained.map.value(rows()[0])).all()
