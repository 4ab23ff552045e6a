"""Block-triangular densities: the sum of their blocks, and conditioned on the leading ones."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import simpson

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    TriangularConvexPotentialFlow,
    load,
)
from brenier.status import FitStatus

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]

# Rows to train on, and to look at: programs of these sizes serve other tests too.
N, M = 112, 60
SMALL = {"widths": (3,), "n_estimators": 1, "max_iter": 10, "validation_fraction": 0.0}
LEADING = ConvexPotentialFlow(n_radial=0, **SMALL)
FOLLOWING = ConditionalConvexPotentialFlow(context_widths=(3,), n_gates=1, **SMALL)
NAMES = ["a", "mu", "b"]
INVERSE = 1e-8


def table(seed=0, n_rows=M):
    rng = np.random.default_rng(seed)
    mu, of_a, of_b = rng.normal(size=(3, n_rows))
    a = mu**2 + of_a
    return pd.DataFrame({"a": a, "mu": mu, "b": 0.5 * a - mu + 0.3 * of_b})


def triangular(blocks):
    return TriangularConvexPotentialFlow(blocks, leading=LEADING, following=FOLLOWING)


@pytest.fixture(scope="module")
def flow():
    return triangular([["mu"], ["a", "b"]]).fit(table(n_rows=N))


def test_log_density_is_the_sum_of_the_blocks(flow):
    X = table(seed=1)
    leading, following = flow.flows_
    expected = leading.score_samples(X[["mu"]]) + following.score_samples(X[["mu"]], X[["a", "b"]])
    np.testing.assert_allclose(flow.score_samples(X), expected, rtol=1e-12)
    assert flow.score(X) == pytest.approx(expected.mean(), rel=1e-12)
    baseline = leading.baseline_score_samples(X[["mu"]])
    baseline = baseline + following.baseline_score_samples(X[["mu"]], X[["a", "b"]])
    np.testing.assert_allclose(flow.baseline_score_samples(X), baseline, rtol=1e-12)
    # Trained by itself, on the same rows.
    alone = ConvexPotentialFlow(**LEADING.get_params()).fit(table(n_rows=N)[["mu"]])
    np.testing.assert_array_equal(alone.score_samples(X[["mu"]]), leading.score_samples(X[["mu"]]))


def test_map_is_triangular_and_has_an_inverse(flow):
    X = table(seed=2)
    Z = flow.transform(X)
    np.testing.assert_allclose(flow.inverse_transform(Z), X, rtol=INVERSE, atol=INVERSE)
    moved = X.assign(a=X["a"] + 1, b=X["b"] - 1)
    np.testing.assert_array_equal(flow.transform(moved)[:, 0], Z[:, 0])
    assert (flow.transform(moved)[:, 1:] != Z[:, 1:]).all()
    drawn = flow.sample(5)
    assert drawn.shape == (5, 3)
    np.testing.assert_array_equal(drawn, flow.sample(5))


def test_conditioning_on_the_leading_block(flow):
    given = flow.condition(mu=0.3)
    assert given.columns == ["a", "b"]
    X = table(seed=3).assign(mu=0.3)
    joint, marginal = flow.score_samples(X), flow.flows_[0].score_samples(X[["mu"]])
    np.testing.assert_allclose(given.score_samples(X[["b", "a"]]), joint - marginal, rtol=1e-9)
    np.testing.assert_allclose(
        given.score_samples(X[["a", "b"]].to_numpy()), joint - marginal, rtol=1e-9
    )
    drawn = given.sample(4, random_state=1)
    assert drawn.shape == (4, 2)
    np.testing.assert_array_equal(drawn, given.sample(4, random_state=1))
    np.testing.assert_array_equal(drawn, flow.condition({"mu": 0.3}).sample(4, random_state=1))


def test_conditioning_on_two_leading_blocks_leaves_a_density():
    flow = triangular(None).fit(table(n_rows=N))
    assert flow.blocks_ == [["a"], ["mu"], ["b"]]
    given = flow.condition(mu=0.2, a=-0.5)
    middle = given.sample(M).mean()
    grid = np.linspace(middle - 12, middle + 12, 2001)
    density = np.exp(given.score_samples(grid[:, None]))
    assert simpson(density, x=grid) == pytest.approx(1, abs=1e-3)


def test_runs_are_counted_over_all_blocks_and_reports_are_the_blocks_own():
    told = []
    flow = triangular([["mu"], ["a", "b"]]).fit(table(n_rows=N), callback=told.append)
    assert {progress.run for progress in told} == {1, 2}
    assert flow.reports_ == [part.report_ for part in flow.flows_]
    for number, report in enumerate(flow.reports_, 1):
        own = [progress.train_log_likelihood for progress in told if progress.run == number]
        assert tuple(own) == report.history["train_log_likelihood"]


@pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")
def test_interrupted_fit_has_gaussians_for_the_blocks_not_yet_begun():
    def interrupt(_):
        raise KeyboardInterrupt

    flow = triangular([["mu"], ["a", "b"]])
    with pytest.raises(KeyboardInterrupt):
        flow.fit(table(n_rows=N), callback=interrupt)
    leading, following = flow.reports_
    assert leading.status is FitStatus.INTERRUPTED
    assert leading.n_iter == 1
    assert (following.is_gaussian, following.n_iter) == (True, 0)
    assert np.isfinite(flow.score_samples(table())).all()


def test_bounds_are_those_of_all_columns():
    X = table(n_rows=N).assign(b=lambda X: np.exp(X["b"]))
    flow = triangular([["mu"], ["a", "b"]]).set_params(bounds={"b": (0, None)}).fit(X)
    assert (flow.sample(50)[:, 2] > 0).all()
    assert (flow.score_samples(X[:3].assign(b=-1.0)) == -np.inf).all()
    with pytest.raises(ValueError, match=r"got bounds for 'MU'\. Did you mean 'mu'\?"):
        triangular([["mu"], ["a", "b"]]).set_params(bounds={"MU": (0, None)}).fit(X)


def test_columns_that_do_not_lead_are_no_error_but_unknown_ones_are(flow):
    assert flow.condition(a=1.0, b=0.0).columns == ["mu"]
    with pytest.raises(ValueError, match="Expected values of columns of the table .*; got 'c'"):
        flow.condition(c=1.0)
    with pytest.raises(ValueError, match="with one free at least; got values of"):
        flow.condition(a=1.0, b=1.0, mu=0.0)


@pytest.mark.parametrize(
    "blocks",
    [[["mu"]], [["mu"], ["a", "b", "mu"]], [["mu"], [], ["a", "b"]], [["mu"], ["c"]], [[5]]],
)
def test_blocks_that_are_no_partition_are_an_error(blocks):
    with pytest.raises(ValueError, match="Expected blocks .* of the table"):
        triangular(blocks).fit(table())


def test_wrong_shapes_are_an_error(flow):
    with pytest.raises(ValueError, match="Expected rows of the 2 columns 'a', 'b'"):
        flow.condition(mu=0.1).score_samples(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="n_samples to be a positive integer"):
        flow.sample(0)


def test_model_file_gives_the_same_estimator(flow, tmp_path):
    flow.save(tmp_path / "m")
    copy, X = load(tmp_path / "m"), table(seed=4)
    np.testing.assert_array_equal(copy.score_samples(X), flow.score_samples(X))
    np.testing.assert_array_equal(copy.sample(3), flow.sample(3))
    assert copy.blocks_ == flow.blocks_
    assert copy.following.get_params() == flow.flows_[1].get_params()
