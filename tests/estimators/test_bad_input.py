"""Bad and awkward input: it ends in a message that names what and where, or in right numbers."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import small_fits
from scipy import stats
from small_fits import N, ends_early

from brenier import Algorithm, load
from brenier.io.table import read_table
from brenier.status import FitStatus, InputWarning

pytestmark = ends_early

HMM = Path(__file__).parents[3] / "shared/data/posteriors/hmm_example.csv.gz"
NAMES = ("speed", "mass", "charge")
# What the issue asks of a round trip.
ROUND_TRIP = 1e-8
# Peak memory that a fit of a million rows may add to what holds the rows (the issue's "fits in
# memory"), and several times its duration.
MILLION_BYTES = 2 * 2**30
TIMEOUT = 300


def small(**changes):
    """Return a quick estimator whose noise is chosen from the rows."""
    return small_fits.small(**{"noise": None} | changes)


def table(columns=3, n_rows=N, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_rows, columns))
    return pd.DataFrame(X, columns=NAMES[:columns])


@pytest.fixture(scope="module")
def flow(X):
    return small().fit(X)


def refusal(data, **settings):
    """Return the message with which a table is refused, checking what every one must have."""
    estimator = small(**settings)
    with pytest.raises(ValueError, match="Expected .*; got ") as caught:
        estimator.fit(data)
    assert not hasattr(estimator, "flow_")
    message = str(caught.value)
    assert "\n" not in message
    return message


def says(message, *parts):
    for part in parts:
        assert part in message, message


# Numbers that are none.


@pytest.mark.parametrize(
    ("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_one_bad_number_is_named(value, kind):
    bad = table()
    bad.loc[17, "mass"] = value
    message = refusal(bad)
    says(message, f"got {kind} in 1 of 300 rows", "row 17 column 'mass'", "rows count from 0")
    says(message, "Drop these rows or fill them in")


def test_many_bad_numbers_are_counted_and_the_first_shown():
    bad = table()
    bad.loc[10:29, "speed"] = np.nan
    bad.loc[5, ["mass", "charge"]] = np.inf
    message = refusal(bad)
    says(message, "NaN and infinity in 21 of 300 rows", "row 5 column 'mass'")
    says(message, "row 10 column 'speed'", "row 13 column 'speed'")
    assert "row 14" not in message


def test_without_names_columns_are_numbered():
    bad = table().to_numpy(copy=True)
    bad[0, 2] = np.nan
    says(refusal(bad), "row 0 column 'x2'")


def test_every_door_refuses_bad_numbers(flow, X):
    bad = X.copy()
    bad[[3, 4], 1] = np.nan
    doors = [flow.score_samples, flow.score, flow.transform, flow.baseline_score_samples]
    for door in doors:
        with pytest.raises(
            ValueError, match=r"got NaN in 2 of 300 rows \(first: row 3 column 'x1'"
        ):
            door(bad)
    for door in (flow.inverse_transform, flow.invert):
        with pytest.raises(
            ValueError, match=r"got NaN in 2 of 300 rows \(first: row 3 column 'z1'"
        ):
            door(bad)
    with pytest.raises(ValueError, match="got NaN in 2 of 300 rows"):
        small().fit(X, validation_data=bad)


# Too little.


def test_one_row():
    # scikit-learn's words, which its own checks ask for.
    with pytest.raises(ValueError, match="1 sample.* a minimum of 2 is required"):
        small().fit(table(n_rows=1))


def test_no_rows_and_no_columns():
    with pytest.raises(ValueError, match="0 sample"):
        small().fit(np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        small().fit(np.zeros((5, 0)))


@pytest.mark.parametrize("n_rows", [2, 3])
def test_fewer_rows_than_columns_give_a_shrunk_gaussian(n_rows):
    said = rf"got {n_rows} distinct sample\(s\) with 3 feature\(s\)"
    with pytest.warns(InputWarning, match=f"{said}.*shrunk by .*, and it is the model"):
        fitted = small().fit(table(n_rows=n_rows))
    assert fitted.report_.is_gaussian
    assert np.isfinite(fitted.score_samples(table())).all()
    with pytest.raises(ValueError, match=f"{said}.*at least 4 distinct rows"):
        small(algorithm=Algorithm(quadratic=False)).fit(table(n_rows=n_rows))


def test_copies_and_weights_of_few_rows_give_a_shrunk_gaussian():
    weights = np.zeros(N)
    weights[:3] = 50
    few = table(n_rows=3)
    with pytest.warns(InputWarning, match=r"got 3 distinct sample\(s\).*shrunk by 50%"):
        copies = small().fit(pd.concat([few] * 50))
    with pytest.warns(InputWarning, match="More rows or fewer columns"):
        weighted = small().fit(table(), sample_weight=weights)
    assert copies.report_.is_gaussian
    assert copies.report_.status is FitStatus.CONVERGED
    np.testing.assert_allclose(copies.score_samples(few), weighted.score_samples(few), rtol=1e-12)
    covariance = np.cov(few.T, bias=True)
    shrunk = 0.5 * (covariance + np.diag(np.diag(covariance)))
    expected = stats.multivariate_normal(few.mean(), shrunk).logpdf(few)
    np.testing.assert_allclose(copies.score_samples(few), expected, rtol=1e-9)


def test_one_row_more_than_columns_is_enough():
    few = table(columns=2, n_rows=3)
    fitted = small(max_iter=3).fit(few)
    assert np.isfinite(fitted.score_samples(few)).all()
    assert fitted.score(few) >= fitted.baseline_score_samples(few).mean() - 1e-12


# Columns without a density.


@pytest.mark.parametrize("value", [0.0, -3.25, 1e-300, 1e300])
def test_constant_columns_are_named(value):
    message = refusal(table().assign(mass=value))
    says(message, "constant column(s) 'mass'", f"value '{value:g}'", "drop the column(s)")


def test_columns_constant_but_for_rounding_are_named():
    columns = {"mass": 0.1 + 1e-17 * (np.arange(N) % 3), "charge": 1e12 + 1e-4 * (np.arange(N) % 2)}
    says(refusal(table().assign(**columns)), "'mass', 'charge'")


def test_duplicate_columns_are_named():
    data = table()
    message = refusal(data.assign(charge=data["speed"]))
    says(message, "'charge' equal to 'speed' in every row", "drop 'charge'")


def test_many_copies_are_counted_and_some_named():
    data = table(columns=2)
    copies = {f"copy{i}": data["speed"] for i in range(7)}
    message = refusal(data.assign(**copies))
    says(message, "'copy4' equal to 'speed' in every row and 2 more like these", "and 2 more, all")
    assert "copy5" not in message


def test_copies_in_another_unit_are_named_though_rows_are_few():
    X = np.random.default_rng(0).normal(size=(25, 30))
    X[:, 7], X[:, 20] = 3.0 - 2.0 * X[:, 4], 1e6 * X[:, 3]
    message = refusal(pd.DataFrame(X, columns=[f"p{i}" for i in range(30)]))
    says(message, "'p7' = 3 -2 'p4'", "'p20' = +1e+06 'p3'", "drop 'p7', 'p20'")


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_dependent_columns_are_named_with_their_relation(scale):
    data = table()
    data["sum"] = scale * (2 * data["speed"] - 3 * data["charge"] + 5)
    message = refusal(data)
    says(message, "exactly dependent column(s)", "'speed'", "'charge'", "'sum'", "drop")
    assert "'mass'" not in message


def test_multiples_of_a_column_are_dependent():
    data = table()
    says(refusal(data.assign(mass=-2.5 * data["speed"])), "'mass'", "'speed'", "dependent")


def test_columns_dependent_after_the_bounds_maps_are_found():
    data = np.exp(table())
    data["charge"] = data["speed"] * data["mass"]
    bounds = dict.fromkeys(NAMES, (0, None))
    says(refusal(data, bounds=bounds), "dependent", "'speed'", "'mass'", "'charge'")


@pytest.mark.skipif(not HMM.exists(), reason=f"needs {HMM}")
def test_hmm_example_names_its_dependent_columns():
    # Rows of a transition matrix: each sums to one.
    data = read_table(HMM)
    message = refusal(pd.DataFrame(data.values, columns=list(data.columns)))
    says(message, "dependent", "theta1[1]", "theta1[2]", "theta2[1]", "theta2[2]", "= 1 -1 'theta")
    assert "mu[" not in message


@pytest.mark.parametrize("noise", [1e-4, 1e-6])
def test_nearly_dependent_columns_are_fitted(noise):
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    data = np.column_stack([x, x + noise * rng.normal(size=N)])
    fitted = small(max_iter=3).fit(data)
    # The Gaussian's own density, from coordinates in which nothing cancels.
    turned = np.column_stack([x, (data[:, 1] - x) / noise])
    cov = np.cov(turned.T, ddof=0)
    exact = stats.multivariate_normal(turned.mean(axis=0), cov).logpdf(turned) - np.log(noise)
    np.testing.assert_allclose(fitted.baseline_score_samples(data), exact, atol=1e-6)
    assert fitted.score(data) >= exact.mean() - 1e-6


# Not numbers, or not a table.


@pytest.mark.parametrize("library", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_text_is_shown(library):
    data = {"speed": ["1.5", "2", "heavy"], "mass": ["1", "2", "4"]}
    data = library(data if library is not np.asarray else list(zip(*data.values(), strict=True)))
    name = "x0" if library is np.asarray else "speed"
    with pytest.raises(ValueError, match=f"'heavy' in row 2 column '{name}'"):
        small().fit(data)


def test_one_dimension_is_no_table():
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array[\s\S]*reshape\(-1, 1\)"):
        small().fit(np.arange(10.0))


def test_wrong_numbers_of_columns(flow, X):
    wide = np.column_stack([X, X[:, 0]])
    for door in (flow.score_samples, flow.score, flow.transform, flow.baseline_score_samples):
        with pytest.raises(ValueError, match="3 features, but .* expecting 2 features"):
            door(wide)
    with pytest.raises(ValueError, match=r"points of shape \(N, 2\); got \(300, 3\)"):
        flow.inverse_transform(wide)
    with pytest.raises(ValueError, match=r"points of shape \(N, 2\); got \(2,\)"):
        flow.invert(X[0])
    with pytest.raises(ValueError, match="3 features, but .* expecting 2 features"):
        small().fit(X, validation_data=wide)


# Awkward, but right.


def test_integers_are_numbers():
    counts = np.random.default_rng(0).integers(-500, 500, size=(N, 2))
    fitted = small().fit(counts)
    floats = small().fit(counts.astype(float))
    np.testing.assert_array_equal(fitted.score_samples(counts), floats.score_samples(counts * 1.0))
    assert np.isfinite(fitted.score_samples(counts)).all()


def test_one_column():
    x = np.random.default_rng(0).exponential(size=(N, 1))
    fitted = small().fit(x)
    log_p = fitted.score_samples(x)
    assert log_p.shape == (N,)
    assert fitted.sample(7).shape == fitted.inverse_transform(np.zeros((7, 1))).shape == (7, 1)
    assert fitted.score(x) > stats.norm(x.mean(), x.std()).logpdf(x).mean()
    grid = np.linspace(-10, 20, 20_001)[:, None]
    total = np.exp(fitted.score_samples(grid)).sum() * (grid[1, 0] - grid[0, 0])
    assert total == pytest.approx(1, abs=1e-3)


SCALES = np.array([1e-12, 1e12])


@pytest.mark.parametrize("whiten", ["full", "standardize"])
def test_columns_on_scales_1e_minus_12_and_1e12_together(whiten, X):
    fitted = small(whiten=whiten).fit(X * SCALES)
    Z = fitted.transform(X * SCALES)
    back = fitted.inverse_transform(Z)
    np.testing.assert_allclose(back / SCALES, X, rtol=ROUND_TRIP, atol=ROUND_TRIP)
    # The Jacobian by central differences in units of the scales, whose product is one.
    h = 1e-5
    columns = [
        (fitted.transform((X + h * e) * SCALES) - fitted.transform((X - h * e) * SCALES)) / (2 * h)
        for e in np.eye(2)
    ]
    log_det = np.linalg.slogdet(np.stack(columns, axis=2))[1]
    expected = stats.norm.logpdf(Z).sum(axis=1) + log_det
    # Differences are right to h^2 and to rounding / h.
    np.testing.assert_allclose(fitted.score_samples(X * SCALES), expected, atol=1e-6)
    assert fitted.score(X * SCALES) > fitted.baseline_score_samples(X * SCALES).mean() + 0.1


def test_columns_far_from_zero_lose_only_what_their_numbers_have_lost(X):
    shifted = X + 1e6
    fitted = small().fit(shifted)
    back = fitted.inverse_transform(fitted.transform(shifted))
    # 1e6 is stored to 1e-10.
    np.testing.assert_allclose(back, shifted, rtol=0, atol=1e-8)
    exact = stats.multivariate_normal(X.mean(axis=0), np.cov(X.T, ddof=0)).logpdf(X)
    np.testing.assert_allclose(fitted.baseline_score_samples(shifted), exact, atol=1e-7)


def test_a_point_1e6_standard_deviations_away_has_a_density(flow, X):
    far = X.mean(axis=0) + 1e6 * X.std(axis=0) * np.array([[1, 0], [0, 1], [-1, -1], [1, -1]])
    log_p = flow.score_samples(far)
    assert np.isfinite(log_p).all()
    # |z|^2 / 2 with a slope of at least the floor of the quadratics.
    assert (log_p < -1e6).all()
    assert np.isfinite(flow.transform(far)).all()
    assert flow.score(np.vstack([X, far])) < flow.score(X)


def test_a_row_as_far_out_as_numbers_go_has_density_zero(flow):
    far = np.array([[1e200, 0], [0, -1e200], [1e308, 1e308], [-1e308, 1e308]])
    assert (flow.score_samples(far) == -np.inf).all()
    assert flow.score(far) == -np.inf


def test_an_outlier_in_training_spoils_nothing(X):
    data = X.copy()
    data[0] = X.mean(axis=0) + 1e6 * X.std(axis=0)
    fitted = small().fit(data)
    assert np.isfinite(fitted.score_samples(data)).all()
    assert fitted.score(data) >= fitted.baseline_score_samples(data).mean() - 1e-12
    assert np.isfinite(fitted.sample(100)).all()


MILLION = """
import resource, sys, warnings
import numpy as np
from brenier import ConvexPotentialFlow

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(1_000_000, 2))
X[:, 1] += X[:, 0] ** 2
before = peak()
flow = ConvexPotentialFlow(widths=(4,), n_radial=1, max_iter=2).fit(X)
report = flow.report_
print(peak() - before, report.n_rows, report.status.name, flow.score(X[:1000]))
"""


def test_a_million_rows_fit_in_memory():
    done = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    growth, n_rows, status, score = done.stdout.split()
    assert int(n_rows) == 1_000_000
    assert FitStatus[status] is FitStatus.ITERATION_LIMIT
    assert np.isfinite(float(score))
    assert int(growth) < MILLION_BYTES


# Model files that cannot be written.


def test_a_full_disk_leaves_the_old_model(flow, X, tmp_path, monkeypatch):
    path = tmp_path / "m"
    flow.save(path)
    other = small(random_state=1).fit(X)

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left on device") as caught:
            other.save(path)
    assert str(path) in str(caught.value)
    np.testing.assert_array_equal(load(path).score_samples(X), flow.score_samples(X))
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_path_below_a_file(flow, tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="Expected a place to write .*; got: ") as caught:
        flow.save(tmp_path / "file" / "m")
    assert caught.value.errno == errno.ENOTDIR
    assert str(tmp_path / "file" / "m") in str(caught.value)
    assert (tmp_path / "file").read_text() == "old"
