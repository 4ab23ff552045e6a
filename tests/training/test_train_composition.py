"""Training of compositions: potential after potential, together, and what ends it."""

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from small_chain import WIDTH, N, n, rows

from brenier.data.rows import Split, WeightedRows
from brenier.linalg import log_det
from brenier.optimizers.early_stopping import Clock
from brenier.optimizers.progress import Offsets
from brenier.potential.composition import Composition
from brenier.status import FitStatus
from brenier.training.composition import train_composition
from brenier.training.families import JointFamily
from brenier.training.folds import Fold
from brenier.training.run import run
from brenier.training.session import Session
from brenier.training.settings import default_settings

pytestmark = pytest.mark.usefixtures("x64")

SETTINGS = replace(
    default_settings(composed=True),
    widths=(WIDTH,),
    n_radial=0,
    tau=1e-4,
    decay=1e-4,
    noise=0.0,
    max_iter=12,
    n_init=1,
)


def weighted(X):
    return WeightedRows(X, np.ones(len(X)), np.arange(len(X)) / len(X))


def fold_of(X, held_out, settings=SETTINGS):
    split = Split(weighted(X), weighted(held_out))
    return Fold.of(split, split, Offsets(), JointFamily(), settings, seed=0)


def fold():
    return fold_of(rows(0), rows(100))


def train(fold, settings=SETTINGS, session=None, runner=run):
    return train_composition(fold, JointFamily(), settings, session or Session(), runner)


@cache
def trained():
    return train(fold())


def map_of(run):
    """Return the map at a run's best iterate."""
    return run.job.problem.map(jnp.asarray(run.best.theta), jnp.asarray(run.best.w))


def test_joint_training_starts_where_the_potentials_end_and_is_no_worse():
    found = trained()
    first, second, together = found.runs
    assert [one.job.number for one in found.runs] == [1, 2, 3]
    start = together.job.problem.template.with_weights(together.job.cold.w)
    loss, heldout_loss = found.fold.losses(start)
    # Weights on their bounds start a little above them.
    assert found.chosen.heldout_loss <= heldout_loss + 1e-6
    # Its first iterate is one step from there, and its losses are the composition's.
    assert -together.iterations[0].train_log_likelihood < loss + 1e-3
    # Of these rows the second potential by itself is no better than the Gaussian, which it then is.
    own_loss, own_heldout_loss = second.job.fold.gaussian_losses
    assert second.best.heldout_loss > own_heldout_loss
    _, (A, _) = start.image_and_jacobians(found.fold.split.train.X)
    assert own_loss - float(np.mean(log_det(A))) == pytest.approx(loss, abs=1e-6)
    np.testing.assert_allclose(start.potentials[0].w, map_of(first).w, rtol=1e-12)
    assert found.winner is together
    for map_ in (found.map, map_of(together)):
        losses = found.fold.losses(map_)
        assert (found.chosen.loss, found.chosen.heldout_loss) == pytest.approx(losses, rel=1e-12)
    assert together.best.loss == pytest.approx(found.chosen.loss, rel=1e-12)
    # What a potential's own run found counts with the log-determinant of the map before it.
    loss, heldout_loss = found.fold.losses(Composition((map_of(first), map_of(second))))
    record = second.iterations[second.best.number - 1]
    assert -record.train_log_likelihood == pytest.approx(loss, abs=1e-12)
    assert -record.heldout_log_likelihood == pytest.approx(heldout_loss, abs=1e-12)
    assert len(found.map.potentials) == 2


def test_earlier_quadratic_weights_have_room_below_and_stay_positive():
    together = trained().runs[-1].job.problem
    (lower,) = together.template.lower
    own = trained().runs[0].job.problem.lower
    first = map_of(trained().runs[0]).w
    bounded = np.isfinite(own)
    room = np.where(own > 0, np.minimum(own, SETTINGS.w_min * first), own)
    np.testing.assert_allclose(lower[bounded], room[bounded], rtol=1e-15)
    for potential in trained().map.potentials:
        assert float(potential.strong_convexity) > 0


def test_progress_tells_of_the_composition_in_order():
    told = []
    found = train(fold(), session=Session(tell=told.append))
    seconds = [progress.seconds for progress in told]
    assert seconds == sorted(seconds)
    for one in found.runs:
        assert [p for p in told if p.run == one.job.number] == list(one.iterations)
    assert sum(len(one.iterations) for one in found.runs) == len(told)


@cache
def of_two_starts():
    return train(fold(), replace(SETTINGS, n_init=2))


def test_best_of_several_starts():
    found = of_two_starts()
    # Two potentials of each start, one after the other, then both chains together.
    assert len(found.runs) == 6
    assert [one.job.fold.seed for one in found.runs] == [0, 1, 2, 3, 0, 0]
    assert found.chosen.heldout_loss <= trained().chosen.heldout_loss
    likelihoods = [one.log_likelihood for one in found.runs]
    assert found.winner is found.runs[np.argmax(likelihoods)]
    assert found.chosen.heldout_loss == pytest.approx(-max(likelihoods), abs=1e-12)
    # The first start is the same whether others follow or not.
    assert likelihoods[:2] == [one.log_likelihood for one in trained().runs[:2]]


def test_a_start_that_finds_nothing_leaves_others_their_joint_training():
    def runner(job, settings, session):
        made = run(job, settings, session)
        # The second start's first potential.
        return replace(made, best=None) if job.fold.seed == 2 else made

    several = train(fold(), replace(SETTINGS, n_init=2), runner=runner)
    # Two potentials, one that found nothing, and the joint run of the first start.
    assert [one.job.fold.seed for one in several.runs] == [0, 1, 2, 0]
    assert several.chosen.heldout_loss == pytest.approx(trained().chosen.heldout_loss)
    assert several.winner is several.runs[-1]


def test_rows_that_look_like_a_gaussian_end_with_it():
    X = np.random.default_rng(0).normal(size=(2 * N, n))
    stiff = replace(SETTINGS, decay=1e3)
    found = train(fold_of(X[:N], X[N:], stiff), stiff)
    assert found.chosen.is_gaussian
    assert len(found.runs) == 1
    assert len(found.map.potentials) == 1
    assert found.chosen.loss == pytest.approx(found.fold.gaussian_losses[0])


def test_no_time_leaves_a_gaussian():
    found = train(fold(), session=Session(Clock(0.0)))
    assert found.chosen.is_gaussian
    assert found.cut_off_at_once
    assert found.status is FitStatus.TIME_LIMIT


def test_all_runs_have_the_clock_of_the_fit_and_their_own_criteria():
    seen = []

    def runner(job, settings, session):
        seen.append((job.criteria, session))
        return run(job, settings, session)

    fit = Session(Clock(1e4))
    settings = replace(SETTINGS, rung=5)
    found = train(fold(), settings, session=fit, runner=runner)
    assert all(session is fit for _, session in seen)
    few = replace(settings.criteria, max_iter=5)
    assert [criteria for criteria, _ in seen] == [few, few, settings.criteria]
    assert [len(one.iterations) for one in found.runs] == [5, 5, 12]


def test_interrupted_joint_training_keeps_what_there_is():
    def interrupt(progress):
        if progress.run == 3 and progress.iteration == 2:
            raise KeyboardInterrupt

    found = train(fold(), session=Session(tell=interrupt))
    assert found.status is FitStatus.INTERRUPTED
    assert len(found.runs[-1].iterations) == 2
    assert found.chosen.run is not None
    assert len(found.map.potentials) == 2


def test_interrupted_potentials_are_kept_without_joint_training():
    def interrupt(progress):
        if progress.run == 2 and progress.iteration == 3:
            raise KeyboardInterrupt

    found = train(fold(), session=Session(tell=interrupt))
    assert found.status is FitStatus.INTERRUPTED
    assert [len(one.iterations) for one in found.runs] == [12, 3]
    assert len(found.map.potentials) == 2
    assert found.chosen.heldout_loss < found.fold.gaussian_losses[1]
