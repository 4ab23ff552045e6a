"""Potentials of leading directions: of all columns, honest on held-out rows, and in files."""

from dataclasses import replace

import numpy as np
import pytest
from small_fits import ends_early

from brenier import ConvexPotentialFlow, load, scoring
from brenier.data.bounds import Bounds
from brenier.data.rows import Split, WeightedRows, canonical_rows
from brenier.optimizers.progress import Offsets
from brenier.potential.features import ConvexPotential
from brenier.potential.gaussian import Gaussian
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.sums import SumPotential
from brenier.training.covariance import Shrunk, ShrunkInUnits, Transformed
from brenier.training.families import JointFamily
from brenier.training.fit import train
from brenier.training.leading import Leading, lifted_map
from brenier.training.session import Session
from brenier.training.settings import default_settings

pytestmark = [ends_early, pytest.mark.usefixtures("x64")]
SETTINGS = default_settings()
N, n, K = 70, 22, 6
SMALL = {"widths": (4,), "n_radial": 2, "max_iter": 20, "decay": 1e-2}
AGREE = {"rtol": 1e-8, "atol": 1e-8}


def bent(N_rows, seed):
    """Return rows that are bent along their two leading directions, else normal."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(N_rows, 2))
    factors[:, 1] = 1.5 * (factors[:, 0] ** 2 - 1.0) + 0.3 * factors[:, 1]
    return factors @ np.random.default_rng(1).normal(size=(2, n)) + rng.normal(size=(N_rows, n))


def whitened(N_rows, seed=0):
    """Return whitened rows, and the leading directions of all."""
    X = bent(N_rows, seed)
    Z, equal = (X - X.mean(axis=0)) / X.std(axis=0), np.full(N_rows, 1 / N_rows)
    F = np.linalg.cholesky(Shrunk().of(Z, equal))
    rows = WeightedRows(np.linalg.solve(F, Z.T).T, np.ones(N_rows), np.arange(N_rows) / N_rows)
    return rows, Leading.of(Transformed(Shrunk(), F), K)


@pytest.fixture(scope="module")
def flow():
    return ConvexPotentialFlow(**SMALL).fit(bent(N, 0))


def test_directions_are_as_many_as_rows_allow():
    assert SETTINGS.n_directions(float(N), n) == K
    assert SETTINGS.n_directions(10.0 * (n + 1), n) == n
    assert SETTINGS.n_directions(29.0, n) == 0
    assert SETTINGS.n_directions(1e4, 900) == SETTINGS.most_directions
    # What columns have in common is of two factors.
    assert SETTINGS.n_directions(float(N), n, 2) == 2
    # Of fewer columns all or none.
    assert SETTINGS.n_directions(5.0 * 20, 19) == 19
    assert SETTINGS.n_directions(5.0 * 20 - 1, 19) == 0


def test_of_all_rows_the_directions_are_principal_components():
    rows, leading = whitened(N)
    split, offsets = leading.along(Split(rows), Offsets(0.0, float("nan")))
    T = split.train.X
    np.testing.assert_allclose(T, rows.X @ leading.directions.T, **AGREE)
    rest = rows.X @ leading.A[K:].T
    np.testing.assert_allclose(offsets.train, -0.5 * np.mean(np.sum(rest**2, axis=1)), **AGREE)


def test_in_the_columns_units_a_column_that_hardly_varies_leads_nowhere():
    rng, unit = np.random.default_rng(0), np.ones(n)
    unit[:5] = 1e-2
    X = bent(N, 0) * unit
    scale = X.std(axis=0)
    Z, equal = (X - X.mean(axis=0)) / scale, np.full(N, 1 / N)
    own = ShrunkInUnits(scale)
    F = np.linalg.cholesky(own.of(Z, equal))
    rows = WeightedRows(np.linalg.solve(F, Z.T).T, np.ones(N), rng.permutation(N) / N)
    leading = Leading.of(Transformed(own, F), K)
    T = leading.along(Split(rows), Offsets(0.0, float("nan")))[0].train.X
    # Those of the columns as they came, whose small ones have no part in them.
    components = np.linalg.eigh(Shrunk().of(X - X.mean(axis=0), equal))[1][:, -1 : -K - 1 : -1]
    expected = (X - X.mean(axis=0)) @ components
    np.testing.assert_allclose(np.abs(np.corrcoef(T.T, expected.T)[:K, K:]).max(axis=1), 1.0, 1e-6)


def test_a_fold_is_the_gaussian_of_its_own_rows_and_its_directions_turned():
    rows, leading = whitened(N)
    train, heldout = rows[:50], rows[50:]
    split, offsets = leading.along(Split(train, heldout), Offsets(0.0, 0.0))
    # Under a standard normal t it is the density of the fold's Gaussian.
    equal, covariance = np.full(50, 1 / 50), leading.covariance
    mean = equal @ train.X
    own = Gaussian.of(mean, covariance.of(train.X - mean, equal))
    for part, t, offset in zip((train, heldout), split, offsets, strict=True):
        of_fold = 0.5 * np.mean(np.sum(t.X**2, axis=1)) - offset
        np.testing.assert_allclose(of_fold, own.loss(part.X, part.weights), **AGREE)
    # Turned to be like the directions of all rows.
    of_all = train.X @ leading.directions.T
    assert np.corrcoef(split.train.X[:, 0], of_all[:, 0])[0, 1] > 0.95
    assert np.mean((split.train.X - of_all) ** 2) < 1.0


def test_what_is_lifted_is_the_identity_beside_the_directions():
    rows, leading = whitened(N)
    T, rng = rows.X @ leading.directions.T, np.random.default_rng(0)
    parts = []
    for _ in range(2):
        units = initial_network(
            T, (3, 3), SETTINGS.activation, SETTINGS.nonnegativity, rng, spread=(0.5, 2.0)
        )
        features = SeparableFeatures(units, np.linalg.qr(rng.normal(size=(K, K)))[0])
        parts.append(ConvexPotential(features, rng.uniform(0.5, 1.0, features.n_features)))
    potential = SumPotential.of(parts, np.array([0.5, 0.8]))
    lifted = lifted_map(potential, leading)
    z, (hessians,) = lifted.image_and_hessians(rows.X)
    # And nothing of more columns is factorised.
    assert hessians.curvature.F.shape[-1] == K
    assert all(member.features.n_curved == K for member in lifted.members)
    own, (own_hessians,) = potential.image_and_hessians(T)
    turned = leading.A @ np.asarray(z)
    np.testing.assert_allclose(turned[:K], own, **AGREE)
    np.testing.assert_allclose(turned[K:], leading.A[K:] @ rows.X.T, **AGREE)
    np.testing.assert_allclose(hessians.log_det(), own_hessians.log_det(), **AGREE)


def test_more_is_learnt_of_few_rows_than_their_gaussian(flow):
    fresh = bent(2000, 7)
    gain = flow.score(fresh) - flow.baseline_score_samples(fresh).mean()
    report = flow.report_
    assert report.baseline == f"covariance of 2 factors; potentials of 2 leading directions of {n}"
    assert not report.is_gaussian
    assert gain > 0.2
    # Held-out rows promise no more than there is.
    promised = report.heldout_log_likelihood - report.gaussian_heldout_log_likelihood
    assert promised < gain + 0.3


def test_the_model_is_a_density_in_files_and_without_jax(flow, tmp_path):
    fresh = bent(20, 7)
    flow.save(tmp_path / "m")
    expected = flow.score_samples(fresh)
    loaded = load(tmp_path / "m")
    np.testing.assert_allclose(loaded.score_samples(fresh), expected, **AGREE)
    # No file says along which axes units are curved: it is found again.
    (potential,) = loaded.flow_.map.potentials
    assert [member.features.n_curved for member in potential.members] == [2] * len(
        potential.members
    )
    np.testing.assert_allclose(scoring.load(tmp_path / "m").score_samples(fresh), expected, **AGREE)
    back = flow.inverse_transform(flow.transform(fresh))
    np.testing.assert_allclose(back, fresh, atol=1e-6)


def test_of_rows_few_for_their_columns_all_decide_however_many_they_are():
    # More than have splits of their own for their number alone.
    settings = replace(SETTINGS, few_rows=50, widths=(4,), n_radial=0, max_iter=1, decay=1e-2)
    unbounded = Bounds(np.full(7, -np.inf), np.full(7, np.inf))
    heldout = []
    for columns_rows in (settings.covariance_rows, 0.0):
        rows = canonical_rows(bent(120, 0)[:, :7], None, 0)
        own = replace(settings, covariance_rows=columns_rows)
        trained = train(rows, None, JointFamily(), own, Session(), bounds=unbounded)
        folds = {id(one.fold): one.fold for one in trained.everyone}.values()
        heldout.append(np.concatenate([fold.data.heldout.position for fold in folds]))
    all_of_them, some = heldout
    assert len(np.unique(all_of_them)) == len(all_of_them) > 2 * len(some)


@pytest.mark.parametrize(("n_columns", "share"), [(n, SETTINGS.least_rise_leading), (7, 0.0)])
def test_only_runs_in_leading_directions_end_where_they_hardly_rise(n_columns, share):
    settings = replace(SETTINGS, widths=(4,), n_radial=0, max_iter=1, decay=1e-2)
    unbounded = Bounds(np.full(n_columns, -np.inf), np.full(n_columns, np.inf))
    rows = canonical_rows(bent(N, 0)[:, :n_columns], None, 0)
    trained = train(rows, None, JointFamily(), settings, Session(), bounds=unbounded)
    runs = [run for one in trained.everyone for run in one.runs]
    assert {run.job.criteria.least_rise for run in runs} == {share}


def test_a_fit_goes_on_from_leading_directions(flow):
    going_on = ConvexPotentialFlow(**SMALL).fit(bent(N + 10, 0), start=flow)
    fresh = bent(2000, 7)
    assert going_on.score(fresh) > going_on.baseline_score_samples(fresh).mean()
    assert going_on.report_.run_decay == (1e-2,) * 4
