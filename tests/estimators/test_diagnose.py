"""`diagnose` of every estimator, and models compared: the same door, whatever the density."""

import json

import numpy as np
import pytest
from small_fits import ends_early, rows, small

import brenier

pytestmark = [
    ends_early,
    pytest.mark.usefixtures("few_mixtures"),
    pytest.mark.filterwarnings("ignore::brenier.status.InputWarning"),
]

FEW = {"widths": (4,), "max_iter": 5, "n_estimators": 1, "decay": 1e-2}
JOINTLY = {**FEW, "n_radial": 0, "noise": 0.0}
GIVEN = {**FEW, "context_widths": (4,)}
TRAIN, FRESH = rows(), rows(n_rows=100, seed=1)


@pytest.fixture(scope="module")
def models():
    leading, following = small(), brenier.ConditionalConvexPotentialFlow(**GIVEN)
    x, y = TRAIN[:, :1], TRAIN[:, 1]
    return {
        "flow": small().fit(TRAIN),
        "mixture": brenier.ConvexPotentialMixture(**JOINTLY).fit(TRAIN),
        "triangular": brenier.TriangularConvexPotentialFlow(
            leading=leading, following=following
        ).fit(TRAIN),
        "conditional": brenier.ConditionalConvexPotentialFlow(**GIVEN).fit(x, y),
        "conditional mixture": brenier.ConditionalConvexPotentialMixture(**GIVEN).fit(x, y),
        "regressor": brenier.ConvexPotentialRegressor(**GIVEN).fit(x, y),
    }


JOINT = ("flow", "mixture", "triangular")
CONDITIONAL = ("conditional", "conditional mixture", "regressor")


def data(name, X=FRESH):
    return (X,) if name in JOINT else (X[:, :1], X[:, 1])


@pytest.mark.parametrize("name", [*JOINT, *CONDITIONAL])
def test_every_estimator_is_diagnosed(models, name):
    diagnosis = models[name].diagnose(*data(name))
    assert diagnosis.n_used == len(FRESH)
    assert diagnosis.is_conditional == (name in CONDITIONAL)
    assert np.isfinite(diagnosis.nats_missing.value)
    json.dumps(diagnosis.to_dict(), allow_nan=False)
    score = diagnosis.scores[0]
    if name == "flow":
        # One half of the rows is judged, chosen at random.
        assert abs(score.mean - models[name].score(FRESH)) < 5 * score.standard_error


def test_the_same_seed_gives_the_same_diagnosis(models):
    flow = models["flow"]
    first = flow.diagnose(FRESH, random_state=1).to_dict()
    assert flow.diagnose(FRESH, random_state=1).to_dict() == first
    assert flow.diagnose(FRESH, random_state=2).to_dict() != first


def test_draws_of_a_model_are_as_its_rows(models):
    flow = models["flow"]
    # With the estimator's own seed: the diagnosis draws others.
    own = flow.sample(200)
    diagnosis = flow.diagnose(own)
    assert not np.isclose(diagnosis.shown.draws[:, None, 0], own[None, :5, 0]).any()
    assert not diagnosis.test.rejects


def test_columns_are_named_in_tables(models):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(TRAIN, columns=["a", "b"])
    flow = small().fit(table)
    fresh = pd.DataFrame(FRESH, columns=["a", "b"])[["b", "a"]]
    diagnosis = flow.set_params(columns=["a", "b"]).diagnose(fresh, train=table)
    assert diagnosis.names == ("a", "b")
    assert diagnosis.rows.n_outside_training is not None


def test_weights_and_bad_input(models):
    flow, conditional = models["flow"], models["conditional"]
    weights = np.where(np.arange(len(FRESH)) < 60, 1.0, 0.0)
    assert flow.diagnose(FRESH, sample_weight=weights).n_used == 60
    with pytest.raises(ValueError, match="Expected 20 rows or more"):
        flow.diagnose(FRESH[:10])
    with pytest.raises(ValueError, match=r"Expected train as a tuple \(X, y\); got ndarray"):
        conditional.diagnose(*data("conditional"), train=TRAIN)


def test_rows_beyond_bounds_are_told(models):
    X = np.exp(rows())
    flow = small(bounds=[(0, None), (0, None)]).fit(X)
    fresh = np.exp(FRESH)
    fresh[3, 0] = -1.0
    found = flow.diagnose(fresh)
    assert found.rows.n_outside_bounds == 1
    assert found.verdict.startswith("The model has no density at 1 rows")


def test_models_are_compared(models):
    joint = {name: models[name] for name in JOINT}
    found = brenier.compare(joint, FRESH, n_draws=300)
    assert found.names == JOINT
    np.testing.assert_allclose(found.means, [joint[name].score(FRESH) for name in JOINT])
    off = ~np.eye(3, dtype=bool)
    assert (found.divergences[off] > -3 * found.divergence_errors[off]).all()
    assert np.isfinite(found.entropies).all()


def test_conditional_models_are_compared_at_their_contexts(models):
    found = brenier.compare([models[name] for name in CONDITIONAL[:2]], *data("conditional"))
    assert found.names == ("model 1", "model 2")
    expected = models["conditional"].score(*data("conditional"))
    np.testing.assert_allclose(found.means[0], expected)
    assert found.divergences[0, 1] > -3 * found.divergence_errors[0, 1]


def test_columns_in_another_order_are_the_same_columns():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(TRAIN, columns=["a", "b"])
    models = [small().fit(table), small(decay=0.1).fit(table[["b", "a"]])]
    found = brenier.compare(models, pd.DataFrame(FRESH, columns=["a", "b"]), n_draws=200)
    expected = models[1].score(pd.DataFrame(FRESH[:, ::-1], columns=["b", "a"]))
    np.testing.assert_allclose(found.means[1], expected)
    assert np.abs(found.divergences).max() < 1


def test_models_of_other_columns_are_not_compared(models):
    with pytest.raises(ValueError, match="Expected two models or more to compare; got 1"):
        brenier.compare([models["flow"]], FRESH)
    with pytest.raises(ValueError, match=r"Expected models of the same columns; got .*'x0'"):
        brenier.compare([models["flow"], models["conditional"]], FRESH)
    with pytest.raises(ValueError, match="Expected no y for joint densities"):
        brenier.compare([models["flow"], models["mixture"]], FRESH, FRESH[:, 0])
    with pytest.raises(ValueError, match="Expected targets y for conditional densities"):
        brenier.compare([models["conditional"], models["regressor"]], FRESH[:, :1])


@pytest.mark.parametrize("name", ["flow", "triangular", "conditional"])
def test_rows_that_it_has_seen_and_their_range_are_known_to_a_loaded_model(models, name, tmp_path):
    models[name].save(tmp_path / "model.brenier")
    loaded = brenier.load(tmp_path / "model.brenier")
    assert "nothing can be said" in loaded.diagnose(*data(name, TRAIN[:60])).verdict
    X = FRESH.copy()
    X[:3, 1] += 100.0
    outside = loaded.diagnose(*data(name, X)).rows.outside_training
    assert set(outside) >= {0, 1, 2}
    beyond = (FRESH < TRAIN.min(axis=0)) | (FRESH > TRAIN.max(axis=0))
    assert set(outside) == {0, 1, 2, *np.flatnonzero(beyond.any(axis=1)).tolist()}
