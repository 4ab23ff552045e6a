"""Compositions: their log-determinant, inverse and gradient, and how they are trained."""

import time
from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier import ComposedConvexPotentialFlow, load
from brenier.data.datasets import MAFMoon
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds, Preprocessing, whitening
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.linalg import log_det, unpack
from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.optimizers.lbfgs import LBFGS
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.composition import ComposedFeatures, Composition
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.status import FitStatus
from brenier.training import composition as training
from brenier.training.composition import train_composed
from brenier.training.final_solve import loss_of_rows
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.function import FullFunction, ReducedFunction
from brenier.varpro.parameters import lower_bounds, to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import Data, PaddedSample
from brenier.varpro.taylor import taylor_check

pytestmark = [
    pytest.mark.usefixtures("x64", "programs_for_once"),
    pytest.mark.filterwarnings("ignore:The fit ended with status"),
]

N, n, WIDTH = 112, 2, 3
ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
# Observed order of Taylor remainders at small steps; below the second figure they are rounding and
# the inner solver's closing step.
ORDER, INNER = 0.1, 1e-11
INVERSE = 1e-8
SETTINGS = Settings(
    widths=(WIDTH,),
    activation=ACTIVATIONS["gaussian-softplus"],
    nonnegativity=NONNEGATIVITY["bounds"],
    solver=PrimalDual(tau=1e-4),
    optimizer=LBFGS(),
    quadratic=True,
    forms=(Hyperparameters(1e-4, 0),),
    noise=0.0,
    w_min=1e-2,
    criteria=StoppingCriteria(max_iter=12, patience=50, max_seconds=None),
    n_init=1,
    n_estimators=1,
    seed=0,
)
FLOOR = np.array([0.0] * WIDTH + [0.05] * n + [-np.inf] * n)


@cache
def rows(seed=0):
    return MAFMoon().sample(N, random_state=seed) / np.array([3.0, 2.0])


def potential(seed):
    rng = np.random.default_rng(seed)
    network = initial_network(rows(), (WIDTH,), SETTINGS.activation, SETTINGS.nonnegativity, rng)
    w = np.concatenate([rng.uniform(0.2, 1.0, WIDTH + n), rng.normal(size=n)])
    return ConvexPotential(SeparableFeatures(network, np.eye(n)), w)


def blocks():
    return [potential(seed) for seed in range(3)]


def problem():
    features = ComposedFeatures.of(blocks(), [FLOOR, FLOOR])
    ridge = np.where(np.arange(len(FLOOR)) < WIDTH, 1e-3, 0.0)
    return VariableProjection(features, FLOOR, ridge, SETTINGS.solver, np.asarray(1e-3))


def data(seed=0):
    held_out = rows(seed + 100)
    return Data(rows(seed), np.ones(N), held_out, np.ones(N))


@cache
def trained():
    return train_composed(data(), SETTINGS, 2)


def jacobians_by_differentiation(composition, X):
    def image(x):
        return composition.image_and_jacobians(x[None])[0][:, 0]

    return jax.jit(jax.vmap(jax.jacfwd(image)))(jnp.asarray(X))


def test_log_determinants_add_up_to_that_of_the_whole():
    composition, X = Composition(tuple(blocks())), rows()
    _, jacobians = composition.image_and_jacobians(jnp.asarray(X))
    expected = np.linalg.slogdet(jacobians_by_differentiation(composition, X))
    assert np.all(expected.sign > 0)
    total = sum(np.asarray(log_det(A)) for A in jacobians)
    np.testing.assert_allclose(total, expected.logabsdet, **ROUNDING)
    # The first block's is where the rows are, and symmetric as a Hessian; the product is not.
    first = unpack(jacobians[0])
    np.testing.assert_allclose(first, jnp.swapaxes(first, 1, 2), rtol=0, atol=0)
    whole = jacobians_by_differentiation(composition, X)
    assert np.abs(whole - np.swapaxes(whole, 1, 2)).max() > 1e-3


def test_inverse_and_its_error_bound():
    X = rows()
    preprocessing = Preprocessing(
        ColumnBounds(np.full(n, -np.inf), np.full(n, np.inf)), whitening(X, np.ones(N), "full")
    )
    flow = ConvexFlow(preprocessing, Composition(tuple(blocks())))
    Z = flow.transform(X)
    again, inversion = eqx.filter_jit(flow.inverse)(Z)
    np.testing.assert_allclose(again, X, rtol=INVERSE, atol=INVERSE)
    assert np.all(inversion.converged)
    error = np.linalg.norm(inversion.X - preprocessing.forward(X)[0], axis=1)
    assert np.all(error <= inversion.error_bound + 1e-13)
    # Block by block: each leads where the next one's inversion ends.
    own = eqx.filter_jit(flow.map_inversions)(Z)
    assert len(own) == 3
    image, points = own[0].X, Z
    for block in flow.map.blocks:
        image = block.gradient_and_hessian(image)[0].T
    np.testing.assert_allclose(image, points, rtol=INVERSE, atol=INVERSE)
    bound = own[2].error_bound
    for k in (1, 0):
        bound = own[k].error_bound + bound / float(flow.map.blocks[k].strong_convexity)
    np.testing.assert_allclose(inversion.error_bound, bound, rtol=1e-12)


def test_features_make_the_composition_that_they_are_of():
    features, X = ComposedFeatures.of(blocks(), [FLOOR, FLOOR]), jnp.asarray(rows())
    composition = features.with_weights(blocks()[-1].w)
    z, A = composition.image_and_jacobians(X)
    expected = Composition(tuple(blocks())).image_and_jacobians(X)
    np.testing.assert_allclose(z, expected[0], **ROUNDING)
    np.testing.assert_allclose(jnp.stack(A), jnp.stack(expected[1]), **ROUNDING)
    # The last block is linear in its weights.
    derivatives = features.derivatives(X)
    np.testing.assert_allclose(derivatives.gradients @ blocks()[-1].w, z, **ROUNDING)


def test_least_values_keep_earlier_weights_above_their_floors():
    features = ComposedFeatures.of(blocks(), [FLOOR, FLOOR])
    least = lower_bounds(features.network)
    assert np.all(to_vector(features.network) >= least)
    network = jax.tree.map(jnp.asarray, features.network)
    lowest = eqx.tree_at(
        lambda weights: weights.slacks,
        network,
        tuple(jnp.where(jnp.isfinite(s), s, 0.0) for s in features.network.lower_bounds().slacks),
    )
    at_floor = features.with_network(lowest).with_weights(blocks()[-1].w)
    for block in at_floor.chain[:-1]:
        np.testing.assert_array_equal(block.w, np.where(np.isfinite(FLOOR), FLOOR, 0.0))
        assert float(block.strong_convexity) > 0


@pytest.mark.parametrize("kind", [ReducedFunction, FullFunction])
def test_taylor_remainders_of_the_joint_objective(kind):
    sample = PaddedSample.of(rows(), np.ones(N), 128)
    cold = WarmStart.cold(jnp.asarray(blocks()[-1].w))
    function = kind(problem(), sample, cold, N)
    x = function.start(to_vector(problem().template.network))
    direction = np.random.default_rng(5).normal(size=x.shape)
    table = taylor_check(function, x, direction, h=1e-2 * 0.5 ** np.arange(6))
    orders = table["order"][table["error"] > INNER]
    assert len(orders) > 2
    assert orders[-1] == pytest.approx(2.0, abs=ORDER)


def test_joint_search_starts_where_the_blocks_end_and_is_no_worse():
    found, given = trained(), data()
    assert len(found.blocks) == 2
    assert len(found.whole.searches) == len(found.whole.forms) == 3
    greedy = Composition(tuple(block.map for block in found.blocks))
    before = loss_of_rows(greedy, given.heldout_X, given.heldout_weights)
    assert found.whole.best.heldout_loss <= before
    joint = found.whole.searches[-1]
    # Its first iterate is one step from there, and its losses are the composition's.
    assert joint.iterations[0].loss < loss_of_rows(greedy, given.X, given.weights) + 1e-3
    whole = found.whole.map
    assert found.whole.best.loss == pytest.approx(loss_of_rows(whole, given.X, given.weights))
    # What a block's own search found counts with the log-determinant of the block before it.
    _, (A,) = found.blocks[0].map.image_and_jacobians(given.X)
    of_block = found.blocks[1].searches[0].best.loss - float(np.mean(log_det(A)))
    assert found.whole.searches[1].best.loss == pytest.approx(of_block, abs=1e-12)


def test_progress_tells_of_the_composition_in_order():
    told = []
    found = train_composed(data(), SETTINGS, 2, told.append).whole
    seconds = [iteration.seconds for iteration in told]
    assert seconds == sorted(seconds)
    for k, search in enumerate(found.searches):
        of_search = [iteration for iteration in told if iteration.search == k + 1]
        assert [i.loss for i in of_search] == [i.loss for i in search.iterations]
        assert [i.heldout_loss for i in of_search] == [i.heldout_loss for i in search.iterations]


def test_best_of_several_starts():
    several = train_composed(data(), replace(SETTINGS, n_init=2), 2).whole
    assert len(several.searches) == 6
    assert several.best.heldout_loss <= trained().whole.best.heldout_loss
    assert several.winner in range(6)


def test_a_start_that_finds_nothing_leaves_others_their_joint_search(monkeypatch):
    real = training.train

    def train(rows, settings, on_iteration, *, model):
        found = real(rows, settings, on_iteration, model=model)
        # The second start's first block.
        return replace(found, best=None) if settings.seed == 2 else found

    monkeypatch.setattr(training, "train", train)
    several = train_composed(data(), replace(SETTINGS, n_init=2), 2).whole
    # Two blocks, one that found nothing, and the first start's joint search.
    assert len(several.searches) == 4
    assert several.best.heldout_loss == pytest.approx(trained().whole.best.heldout_loss)


def test_rows_that_look_like_a_gaussian_end_with_it():
    X = np.random.default_rng(0).normal(size=(2 * N, n))
    gaussian = Data(X[:N], np.ones(N), X[N:], np.ones(N))
    found = train_composed(gaussian, replace(SETTINGS, forms=(Hyperparameters(1e3, 0),)), 2)
    assert found.whole.is_gaussian
    assert len(found.blocks) == 1
    assert len(found.whole.map.blocks) == 1


def test_no_time_leaves_a_gaussian():
    criteria = replace(SETTINGS.criteria, max_seconds=0.0)
    found = train_composed(data(), replace(SETTINGS, criteria=criteria), 2).whole
    assert found.is_gaussian
    assert found.status is FitStatus.TIME_LIMIT


def test_joint_search_has_the_time_that_the_fit_has(monkeypatch):
    criteria = replace(SETTINGS.criteria, max_seconds=1e4)
    before = time.perf_counter()
    seen = []
    real = training.search

    def search(problem, optimizer, data, cold, watch):
        seen.append(watch)
        return real(problem, optimizer, data, cold, watch)

    monkeypatch.setattr(training, "search", search)
    train_composed(data(), replace(SETTINGS, criteria=criteria), 2)
    # Its clock is that of the fit: all of the limit counts from there.
    (watch,) = seen
    assert watch.criteria == criteria
    assert before <= watch.started < before + 1.0


def test_interrupted_joint_search_keeps_what_there_is():
    def interrupt(iteration):
        if iteration.search == 3 and iteration.number == 2:
            raise KeyboardInterrupt

    found = train_composed(data(), SETTINGS, 2, interrupt).whole
    assert found.status is FitStatus.INTERRUPTED
    assert len(found.searches[-1].iterations) == 2
    assert found.best is not None
    assert len(found.map.blocks) == 2


SMALL = {"widths": (WIDTH,), "n_radial": 0, "n_init": 1, "decay": 1e-4, "noise": 0.0, "max_iter": 8}


@pytest.fixture(scope="module")
def flow():
    return ComposedConvexPotentialFlow(**SMALL).fit(rows())


def test_estimator_scores_maps_and_samples(flow):
    X = rows(seed=3)
    Z = flow.transform(X)
    log_density = flow.score_samples(X)
    _, jacobians = flow.flow_.map.image_and_jacobians(flow.flow_.preprocessing.forward(X)[0])
    by_hand = -0.5 * np.sum(Z**2, axis=1) - np.log(2 * np.pi)
    by_hand = by_hand + sum(np.asarray(log_det(A)) for A in jacobians)
    by_hand = by_hand + np.asarray(flow.flow_.preprocessing.forward(X)[1])
    np.testing.assert_allclose(log_density, by_hand, **ROUNDING)
    np.testing.assert_allclose(flow.inverse_transform(Z), X, rtol=INVERSE, atol=INVERSE)
    assert flow.sample(5, random_state=1).shape == (5, n)
    assert [len(inversion.X) for inversion in flow.map_inversions(Z)] == [N, N]
    assert flow.report_.n_maps == 2
    assert "a composition of 2 blocks" in flow.report_.message


def test_density_integrates_to_one(flow):
    low, high = rows().min(axis=0) - 6.0, rows().max(axis=0) + 6.0
    axes = [np.linspace(low[i], high[i], 301) for i in range(n)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, n)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    assert np.exp(flow.score_samples(grid)).sum() * cell == pytest.approx(1.0, abs=1e-3)


def test_model_file_gives_the_same_estimator(flow, tmp_path):
    flow.save(tmp_path / "composed.brenier")
    again = load(tmp_path / "composed.brenier")
    np.testing.assert_array_equal(again.score_samples(rows(3)), flow.score_samples(rows(3)))
    assert again.get_params() == flow.get_params()
    assert again.report_ == flow.report_


def test_integer_weights_are_repeated_rows(flow):
    weights = np.random.default_rng(2).integers(0, 3, size=N)
    weighted = ComposedConvexPotentialFlow(**SMALL).fit(rows(), sample_weight=weights)
    repeated = ComposedConvexPotentialFlow(**SMALL).fit(np.repeat(rows(), weights, axis=0))
    difference = weighted.report_.train_log_likelihood - repeated.report_.train_log_likelihood
    assert abs(difference) < 1e-10


def test_bounded_columns(flow):
    X = np.exp(rows())
    bounded = ComposedConvexPotentialFlow(bounds=[(0, None)] * n, **SMALL).fit(X)
    assert np.all(bounded.sample(20) > 0)
    assert bounded.score_samples([[-1.0, 1.0]]) == -np.inf


def test_one_block_is_refused():
    with pytest.raises(ValueError, match="n_maps"):
        ComposedConvexPotentialFlow(n_maps=1).fit(rows())
