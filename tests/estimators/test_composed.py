"""The joint density with several maps: scores, samples, files, weights and bounds."""

import numpy as np
import pytest
from small_chain import WIDTH, N, n, rows

from brenier import ConvexPotentialFlow, load
from brenier.linalg import log_det

pytestmark = [
    pytest.mark.usefixtures("x64"),
    pytest.mark.filterwarnings("ignore:The fit ended with status"),
]

ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
INVERSE = 1e-8
SMALL = {
    "n_maps": 2,
    "widths": (WIDTH,),
    "n_radial": 0,
    "n_init": 1,
    "decay": 1e-4,
    "noise": 0.0,
    "max_iter": 8,
}


@pytest.fixture(scope="module")
def flow():
    return ConvexPotentialFlow(**SMALL).fit(rows())


def test_estimator_scores_maps_and_samples(flow):
    X = rows(seed=3)
    Z = flow.transform(X)
    log_density = flow.score_samples(X)
    Y, log_det_preprocessing = flow.flow_.preprocessing.forward(X)
    _, jacobians = flow.flow_.map.image_and_jacobians(Y)
    assert len(jacobians) == 2
    by_hand = -0.5 * np.sum(Z**2, axis=1) - np.log(2 * np.pi)
    by_hand = by_hand + sum(np.asarray(log_det(A)) for A in jacobians)
    by_hand = by_hand + np.asarray(log_det_preprocessing)
    np.testing.assert_allclose(log_density, by_hand, **ROUNDING)
    np.testing.assert_allclose(flow.inverse_transform(Z), X, rtol=INVERSE, atol=INVERSE)
    draws = flow.sample(5, random_state=1)
    assert draws.shape == (5, n)
    np.testing.assert_array_equal(draws, flow.sample(5, random_state=1))
    assert [len(inversion.X) for inversion in flow.map_inversions(Z)] == [N, N]
    assert flow.report_.n_maps == 2
    assert "a composition of 2 maps" in flow.report_.message


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


def test_integer_weights_are_repeated_rows():
    weights = np.random.default_rng(2).integers(0, 3, size=N)
    weighted = ConvexPotentialFlow(**SMALL).fit(rows(), sample_weight=weights)
    # Copies one after the other look like a chain.
    copies = np.random.default_rng(3).permutation(np.repeat(rows(), weights, axis=0))
    repeated = ConvexPotentialFlow(**SMALL).fit(copies)
    difference = weighted.report_.train_log_likelihood - repeated.report_.train_log_likelihood
    assert abs(difference) < 1e-10


def test_bounded_columns():
    X = np.exp(rows())
    bounded = ConvexPotentialFlow(bounds=[(0, None)] * n, **SMALL).fit(X)
    assert len(bounded.flow_.map.potentials) == 2
    assert np.all(bounded.sample(20) > 0)
    assert bounded.score_samples([[-1.0, 1.0]]) == -np.inf


def test_one_map_is_a_single_potential_and_none_is_refused():
    single = ConvexPotentialFlow(**{**SMALL, "n_maps": 1, "n_estimators": 1}).fit(rows())
    assert len(single.flow_.map.potentials) == single.report_.n_maps == 1
    with pytest.raises(ValueError, match="n_maps"):
        ConvexPotentialFlow(n_maps=0).fit(rows())
    with pytest.raises(ValueError, match="n_estimators=1 with n_maps=2; got 3.*be averaged"):
        ConvexPotentialFlow(n_maps=2, n_estimators=3).fit(rows())
