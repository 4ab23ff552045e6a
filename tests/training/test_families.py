"""Families of densities: what they start from, and that training them is finite and no loss."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.data.rows import Split, WeightedRows
from brenier.linalg import log_det
from brenier.optimizers.progress import Offsets
from brenier.status import InnerStatus
from brenier.training.candidate import potential_at
from brenier.training.ensemble import train_potentials
from brenier.training.families import ConditionalFamily, JointFamily
from brenier.training.folds import Fold
from brenier.training.run import run
from brenier.training.selection import Start
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, Settings, default_settings
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import loss_on
from brenier.varpro.sample import PaddedSample
from brenier.varpro.taylor import taylor_check

pytestmark = pytest.mark.usefixtures("x64")

# Observed order of Taylor remainders at small steps; below the second figure they are rounding and
# the inner solver's closing step.
ORDER, INNER = 0.1, 1e-11
N_ROWS = 60
CHANGES = {"widths": (3, 2), "tau": 1e-3, "decay": 1e-3, "max_iter": 15, "n_estimators": 2}
CONDITIONAL = replace(default_settings(conditional=True), context_widths=(3,), n_gates=2, **CHANGES)
JOINT = replace(default_settings(), n_radial=2, noise=0.0, **CHANGES)
# Of three columns, the first given the others, or all of them.
FAMILIES = {"conditional": (ConditionalFamily(1), CONDITIONAL), "joint": (JointFamily(), JOINT)}
CONTEXTS = {
    "plain": lambda c: c,
    "constant": lambda c: np.stack([c[:, 0], 0 * c[:, 0]], axis=1),
    "all constant": lambda c: 0 * c,
    "collinear": lambda c: np.stack([c[:, 0], -2 * c[:, 0]], axis=1),
}
on_all = pytest.mark.parametrize("name", FAMILIES)
on_contexts = pytest.mark.parametrize("context", CONTEXTS)


def rows(context="plain", seed=0):
    """Return rows (y, c) whose mean and noise depend on the context, and unequal weights."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(N_ROWS, 2))
    y = np.sin(2 * c[:, 0]) + np.exp(0.5 * c[:, 1] - 1) * rng.normal(size=N_ROWS)
    weights = rng.uniform(0.5, 2.0, size=N_ROWS)
    position = np.arange(N_ROWS) / N_ROWS
    return WeightedRows(np.column_stack([y, CONTEXTS[context](c)]), weights, position)


def fold_of(name, context="plain"):
    family, settings = FAMILIES[name]
    split = Split(rows(context), rows(context, seed=1))
    return Fold.of(split, split, Offsets(), family, settings, seed=0)


def job_on(name, context="plain"):
    """Return a run to be made: the separable problem of the rows and a cold start."""
    (family, settings), fold = FAMILIES[name], fold_of(name, context)
    X, rng = fold.split.train.X, np.random.default_rng(0)
    start = Start(fold, family.start(X, settings, fold.candidates, rng), 0)
    return start.job(family, settings, fold.candidates[0], settings.criteria, 1)


def sample_of(fold):
    return PaddedSample.of(fold.seen.X, fold.seen.weights, chunk_rows=128)


@on_all
def test_cold_weights_are_feasible_and_gaussian_ones_make_the_baseline(name):
    family, settings = FAMILIES[name]
    job = job_on(name)
    lower, ridge = job.problem.lower, job.problem.ridge
    features, gaussian = job.problem.template, job.fold.gaussian
    assert (np.asarray(job.cold.w) > lower).all()
    assert np.isfinite(lower).sum() == features.n_constrained
    assert set(ridge) == {0.0, settings.ridge}
    w = family.gaussian_weights(features, gaussian)
    assert (w >= lower).all()
    X, weights, *_ = job.fold.split.train
    z, (A,) = features.with_weights(jnp.asarray(w)).image_and_jacobians(X)
    losses = 0.5 * np.sum(np.asarray(z) ** 2, axis=0) - np.asarray(log_det(A))
    np.testing.assert_allclose(losses, gaussian.losses(X), rtol=1e-10, atol=1e-10)
    assert gaussian.loss(X, weights) == pytest.approx(np.average(losses, weights=weights))


def test_radial_units_of_fewer_are_the_first_of_more():
    family, fold = JointFamily(), fold_of("joint")
    candidates = Settings(decay=None, n_radial=2).candidates(heldout=True)
    start = family.start(fold.split.train.X, JOINT, candidates, np.random.default_rng(0))
    one, two = (start.units(n) for n in (1, 2))
    assert start.units(0) is start.network
    assert (one.parts[0], two.parts[0]) == (start.network,) * 2
    np.testing.assert_array_equal(one.parts[1].B, two.parts[1].B[:1])
    np.testing.assert_array_equal(one.parts[1].e, two.parts[1].e[:1])


def test_taylor_remainders_are_of_second_order_through_the_inner_solver():
    job = job_on("conditional")
    function = ReducedFunction(job.problem, sample_of(job.fold), job.cold, N_ROWS)
    theta = to_vector(job.problem.template.network)
    direction = np.random.default_rng(5).normal(size=len(theta))
    direction *= np.where(np.isfinite(function.lower), np.sign(direction), 1.0)
    table = taylor_check(function, theta, direction, h=1e-2 * 0.5 ** np.arange(6))
    orders = table["order"][1:][table["error"][1:] > INNER]
    assert len(orders) >= 3
    np.testing.assert_allclose(orders, 2.0, atol=ORDER)


@on_contexts
def test_inner_problem_is_solved_whatever_the_context(context):
    job = job_on("conditional", context)
    problem, sample = job.problem, sample_of(job.fold)
    theta = jnp.asarray(to_vector(problem.template.network))
    solution = problem.solve(theta, sample, job.cold)
    assert int(solution.status) == InnerStatus.CONVERGED
    assert np.isfinite(solution.w).all()
    # mean |z|^2 = n + w . lambda less the ridge's share, at any optimum.
    z, _ = problem.map(theta, solution.w).image_and_jacobians(np.asarray(sample.X)[0])
    square = np.asarray(sample.omega)[0] @ np.sum(np.asarray(z) ** 2, axis=0)
    excess = float(solution.w @ solution.multipliers - problem.ridge @ solution.w**2)
    assert square == pytest.approx(1 + excess, abs=1e-6)


@on_contexts
def test_training_is_finite_and_no_worse_than_the_regression(context):
    family, settings = FAMILIES["conditional"]
    fold = fold_of("conditional", context)
    (trained,) = train_potentials([fold], family, settings, Session())
    # Without a context these rows are nearly Gaussian: either may win.
    assert not trained.chosen.is_gaussian or context == "all constant"
    loss, heldout_loss = fold.gaussian_losses
    assert trained.chosen.loss <= loss
    assert trained.chosen.heldout_loss <= heldout_loss
    if not trained.chosen.is_gaussian:
        assert trained.chosen.loss < loss
    z, (A,) = trained.map.image_and_jacobians(fold.split.train.X)
    assert np.isfinite(z).all()
    assert (np.asarray(A) > 0).all()


def test_idle_radial_units_change_nothing():
    # The candidate without radial units, as the same program as those with them, and by itself.
    family, settings = FAMILIES["joint"]
    fold = fold_of("joint")
    X = fold.split.train.X
    without = Hyperparameters(1e-3, 0)
    results = []
    for candidates in ((without,), (without, Hyperparameters(1e-3, 2))):
        weights = family.start(X, settings, candidates, np.random.default_rng(0))
        made = run(
            Start(fold, weights, 0).job(family, settings, without, settings.criteria, 1),
            settings,
            Session(),
        )
        results.append((made, potential_at(made.job.problem, made.best)))
    (plain, one), (idle, other) = results
    assert [int(np.sum(made.job.problem.pinned)) for made in (plain, idle)] == [0, 2]
    # The starts of L-BFGS differ by rounding, and by what w starts from.
    assert idle.best.loss == pytest.approx(plain.best.loss, abs=1e-4)
    assert len(idle.best.theta) > len(plain.best.theta)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(p)] for p in (one, other)]
    assert shapes[0] == shapes[1]
    sample = sample_of(fold)
    at = idle.job.problem.loss(jnp.asarray(idle.best.theta), jnp.asarray(idle.best.w), sample)
    assert float(loss_on(other, sample)) == pytest.approx(float(at), rel=1e-9)
