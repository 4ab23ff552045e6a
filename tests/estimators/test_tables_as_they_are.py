"""Tables as people have them: what has no density is said by column, in the report too."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from small_fits import N, ends_early, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialRegressor,
    TriangularConvexPotentialFlow,
    load,
)
from brenier.status import InputWarning
from brenier.training.report import FitReport

pytestmark = ends_early

CONDITIONAL = ConditionalConvexPotentialFlow(
    widths=(3,),
    context_widths=(3,),
    n_gates=1,
    n_estimators=1,
    max_iter=2,
    validation_fraction=0.0,
)


def counts(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    return pd.DataFrame({"x": x, "hits": rng.poisson(np.exp(0.5 + 0.5 * x)).astype(float)})


def warned(fit):
    """Return the one warning about input."""
    with pytest.warns(InputWarning) as caught:
        fit()
    (warning,) = [one for one in caught if one.category is InputWarning]
    return str(warning.message)


# Columns whose values repeat.


@pytest.fixture(scope="module")
def of_counts():
    with pytest.warns(InputWarning, match=r"many equal values in 'hits' \(step 1\)"):
        return small(validation_fraction=0.3).fit(counts())


def test_counts_in_a_joint_density_are_warned_of_and_no_gain_is_claimed(of_counts, tmp_path):
    report = of_counts.report_
    assert report.discrete == ("hits",)
    assert report.verdict.startswith("No gain over a Gaussian is claimed: values of 'hits' repeat")
    assert "is claimed" in repr(report)
    assert FitReport.from_dict(report.to_dict()) == report
    of_counts.save(tmp_path / "m")
    assert load(tmp_path / "m").report_.verdict == report.verdict


def test_reports_of_older_files_claim_what_they_claimed(of_counts):
    older = of_counts.report_.to_dict()
    del older["discrete"]
    assert FitReport.from_dict(older).discrete == ()


def test_noise_of_a_step_is_the_remedy():
    data = counts()
    data["hits"] += np.random.default_rng(1).uniform(-0.5, 0.5, N)
    # A warning would be an error.
    assert small(max_iter=2).fit(data).report_.discrete == ()


def test_counted_targets_are_warned_of_with_their_step():
    data = counts()
    flow = CONDITIONAL
    message = warned(lambda: flow.fit(data[["x"]], data["hits"]))
    assert "'hits' (step 1)" in message
    assert flow.report_.discrete == ("hits",)
    # A context may be counted.
    assert flow.fit(data[["hits"]], data["x"]).report_.discrete == ()


def test_blocks_say_of_their_own_columns_that_they_repeat():
    flow = TriangularConvexPotentialFlow(
        [["hits"], ["x"]], leading=small(max_iter=2), following=CONDITIONAL
    )
    with pytest.warns(InputWarning, match=r"'hits' \(step 1\)"):
        flow.fit(counts())
    assert [report.discrete for report in flow.reports_] == [("hits",), ()]


def test_a_value_in_many_rows_is_warned_of():
    rain = np.exp(np.random.default_rng(2).normal(size=(N, 2)))
    rain[: N // 2, 1] = 0.0
    message = warned(lambda: small(max_iter=2).fit(rain))
    assert "'x1' (the value 0 in 50% of the rows)" in message


# Masked arrays.


def masked(values, *cell):
    found = np.ma.array(values, mask=np.zeros(np.shape(values), bool))
    found[cell] = np.ma.masked
    return found


def columns():
    return np.random.default_rng(3).normal(size=(N, 2))


@pytest.fixture(scope="module")
def joint():
    return small(max_iter=2).fit(columns())


@pytest.fixture(scope="module")
def conditional():
    return clone(CONDITIONAL).fit(columns()[:, :1], columns()[:, 1])


@pytest.fixture(scope="module")
def triangular():
    flow = TriangularConvexPotentialFlow(leading=small(max_iter=2), following=CONDITIONAL)
    return flow.fit(columns())


X, Y = columns()[:, :1], columns()[:, 1]
MASKED = masked(columns(), 7, 1)
DOORS = {
    "fit": ("joint", lambda flow: clone(flow).fit(MASKED), "X", "row 7 column 'x1'"),
    "validation": (
        "joint",
        lambda flow: clone(flow).fit(columns(), validation_data=MASKED),
        "X",
        "row 7 column 'x1'",
    ),
    "score": ("joint", lambda flow: flow.score(MASKED), "X", "row 7 column 'x1'"),
    "transform": ("joint", lambda flow: flow.transform(MASKED), "X", "row 7 column 'x1'"),
    "baseline": ("joint", lambda flow: flow.baseline_score_samples(MASKED), "X", "column 'x1'"),
    "inverse": ("joint", lambda flow: flow.inverse_transform(MASKED), "Z", "row 7 column 'z1'"),
    "weights": (
        "joint",
        lambda flow: clone(flow).fit(columns(), sample_weight=masked(np.ones(N), 5)),
        "sample_weight",
        "row 5",
    ),
    "weights of a score": (
        "joint",
        lambda flow: flow.score(columns(), sample_weight=masked(np.ones(N), 5)),
        "sample_weight",
        "row 5",
    ),
    "blocks": ("triangular", lambda flow: clone(flow).fit(MASKED), "X", "row 7 column 'x1'"),
    "given blocks": (
        "triangular",
        lambda flow: flow.condition({"x0": 0.0}).score_samples(masked(X, 7, 0)),
        "X",
        "row 7 column 'x1'",
    ),
    "context": ("conditional", lambda flow: clone(flow).fit(masked(X, 7, 0), Y), "X", "row 7"),
    "target": ("conditional", lambda flow: clone(flow).fit(X, masked(Y, 7)), "y", "row 7"),
    "held-out context": (
        "conditional",
        lambda flow: clone(flow).fit(X, Y, validation_data=(masked(X, 7, 0), Y)),
        "X",
        "row 7 column 'x0'",
    ),
    "quantile": ("conditional", lambda flow: flow.quantile(masked(X, 7, 0), 0.5), "X", "row 7"),
    "target of a score": ("conditional", lambda flow: flow.score(X, masked(Y, 7)), "y", "row 7"),
    "regression": (
        "conditional",
        lambda flow: ConvexPotentialRegressor().fit(X, masked(Y, 7)),
        "y",
        "row 7",
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_masked_cells_are_named(door, request):
    flow, call, what, where = DOORS[door]
    with pytest.raises(ValueError, match=f"every cell of {what}; got 1 of .*{where}.*filled"):
        call(request.getfixturevalue(flow))


def test_a_mask_of_nothing_changes_nothing(joint):
    plain = np.ma.array(columns(), mask=False)
    np.testing.assert_array_equal(joint.score_samples(plain), joint.score_samples(columns()))


# Columns of the smallest and the largest numbers.


@pytest.mark.parametrize("scale", [1e-320, 1e-310, 1e-295, 1e301, 1e307])
def test_scales_beyond_numbers_are_refused_by_name(scale):
    remedy = "Multiply" if scale < 1 else "Divide"
    said = rf"column\(s\) 'x1' with values .*\. {remedy} by a power of ten"
    with pytest.raises(ValueError, match=said):
        small().fit(columns() * [1.0, scale])
    said = said.replace("x1", "y")
    with pytest.raises(ValueError, match=said):
        clone(CONDITIONAL).fit(X, Y * scale)
    said = said.replace("'y'", "'x0'")
    with pytest.raises(ValueError, match=said):
        clone(CONDITIONAL).fit(X * scale, Y)


def test_numbers_across_the_whole_range_are_refused():
    with pytest.raises(ValueError, match=r"'x0' with values as large as 1\.\d+e\+308"):
        small().fit(columns() * [4e307, 1.0])


@pytest.mark.parametrize("scale", [1e-280, 1e298])
def test_scales_at_the_ends_of_numbers_are_computed_with(scale):
    data, factor = columns(), np.array([1.0, scale])
    fitted = small(max_iter=2).fit(data * factor)
    # The baseline depends on no order of rows.
    of_ones = small(max_iter=2).fit(data).baseline_score_samples(data) - np.log(scale)
    np.testing.assert_allclose(fitted.baseline_score_samples(data * factor), of_ones, rtol=1e-9)
    back = fitted.inverse_transform(fitted.transform(data * factor))
    np.testing.assert_allclose(back / factor, data, rtol=1e-7, atol=1e-7)
    flow = clone(CONDITIONAL).fit(X * scale, Y)
    assert np.isfinite(flow.score(X * scale, Y))


# Weights and their logarithms.


def fitted_with(**weights):
    """Return every kind of estimator, fitted with these weights."""
    regressor = ConvexPotentialRegressor(**CONDITIONAL.get_params())
    triangular = TriangularConvexPotentialFlow(leading=small(max_iter=2), following=CONDITIONAL)
    return [
        lambda: small(max_iter=2).fit(columns(), **weights),
        lambda: clone(CONDITIONAL).fit(X, Y, **weights),
        lambda: regressor.fit(X, Y, **weights),
        lambda: triangular.fit(columns(), **weights),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_log_weights_are_weights(kind):
    logs = np.random.default_rng(4).normal(size=N)
    logs[:9] = -np.inf
    of_logs = fitted_with(log_weights=logs - 1e3)[kind]()
    plain = fitted_with(sample_weight=np.exp(logs))[kind]()
    method = "predict" if kind == 2 else "score_samples"
    arguments = {1: (X, Y), 2: (X,)}.get(kind, (columns(),))
    of_logs, plain = (getattr(flow, method)(*arguments) for flow in (of_logs, plain))
    np.testing.assert_allclose(of_logs, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", range(4))
def test_log_weights_given_as_weights_are_told_where_to_go(kind):
    logs = np.random.default_rng(5).normal(size=N) - 9.0
    said = r"negative numbers in 300 of 300 rows .first: row 0.*log_weights.*exp\(logw - max\(logw"
    with pytest.raises(ValueError, match=said):
        fitted_with(sample_weight=logs)[kind]()
    with pytest.raises(ValueError, match="sample_weight or log_weights; got both"):
        fitted_with(sample_weight=np.ones(N), log_weights=logs)[kind]()
    logs[7] = np.nan
    with pytest.raises(ValueError, match="got nan in 1 of 300 rows .first: row 7"):
        fitted_with(log_weights=logs)[kind]()


def test_weights_of_a_score_are_checked(joint):
    with pytest.raises(ValueError, match="infinity in 1 of 300 rows .first: row 3"):
        joint.score(columns(), sample_weight=np.where(np.arange(N) == 3, np.inf, 1.0))
    with pytest.raises(ValueError, match="negative numbers in 1 of 300"):
        joint.fit(columns(), validation_data=(columns(), np.where(np.arange(N) == 3, -1.0, 1.0)))


# What weighted rows are worth.


def test_few_effective_rows_are_warned_of_and_said():
    weights = np.exp(4.0 * np.random.default_rng(6).normal(size=N))
    size = weights.sum() ** 2 / (weights**2).sum()
    assert size < 20
    said = f"got 300 rows, worth {size:.1f} independent ones of equal weight"
    with pytest.warns(InputWarning, match=said):
        report = small(max_iter=2).fit(columns(), sample_weight=weights).report_
    assert report.effective_size == pytest.approx(size)
    assert f"worth {size:.1f}" in repr(report)
    assert FitReport.from_dict(report.to_dict()).effective_size == report.effective_size
    with pytest.warns(InputWarning, match=said):
        clone(CONDITIONAL).fit(X, Y, sample_weight=weights)


def test_weights_of_many_rows_are_no_cause_for_a_warning():
    rng = np.random.default_rng(7)
    # A warning would be an error.
    for weights in (None, np.full(N, 3.0), rng.integers(1, 9, N), rng.uniform(0.5, 2.0, N)):
        report = small(max_iter=2).fit(columns(), sample_weight=weights).report_
        assert (report.worth == "") == (weights is None or np.ptp(weights) == 0)


# Columns that are functions of others up to rounding.


def test_rounded_shares_are_refused_with_their_relation():
    shares = np.round(np.random.default_rng(8).dirichlet([2, 3, 4], N), 6)
    said = "dependent up to the rounding of their numbers: 'x.' = 1 -1 'x.' -1 'x.'"
    with pytest.raises(ValueError, match=said):
        small().fit(shares)
    with pytest.raises(ValueError, match=said):
        small(bounds=[(-0.1, 1.1)] * 3).fit(shares)
    with pytest.raises(ValueError, match=said.replace("x", "y")):
        clone(CONDITIONAL).fit(X, shares)
