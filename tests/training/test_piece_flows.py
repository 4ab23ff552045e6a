"""Flows of pieces: one for each connected piece, in the pool where they are worth it."""

import warnings

import numpy as np
import pytest
from small_fits import ends_early

from brenier import ConvexPotentialMixture, load
from brenier.io.model_file import ModelFileError, read_model, write_model
from brenier.status import InputWarning

pytestmark = ends_early
# Few Gaussians, which cannot bend.
SMALL = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 30, "decay": 1e-2}
SMALL |= {"n_estimators": 2}


def bent(N, seed):
    """Return rows of two bent Gaussians, 14 apart, and their log-densities."""
    rng = np.random.default_rng(seed)
    Y, second = rng.normal(size=(N, 3)), rng.random(N) < 0.4
    X = Y + np.outer(second, [14.0, 0.0, 0.0])
    X[:, 1] += 0.8 * (Y[:, 0] ** 2 - 1.0)
    log_density = -0.5 * np.sum(Y**2, axis=1) - 1.5 * np.log(2 * np.pi)
    return X, log_density + np.log(np.where(second, 0.4, 0.6))


@pytest.fixture(scope="module")
def mixture():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        return ConvexPotentialMixture(**SMALL).fit(bent(600, 0)[0])


def test_a_piece_in_which_a_column_is_constant_has_no_flow():
    rng = np.random.default_rng(0)
    second = rng.random(400) < 0.5
    z, other = rng.normal(size=(2, 400))
    X = np.column_stack([z + 30.0 * second, np.where(second, other, 0.0)])
    with pytest.warns(InputWarning, match="many equal values in 'x1'"):
        mixture = ConvexPotentialMixture(**SMALL).fit(X)
    places = [mixture.pieces_[one.k] for one in of_pieces(mixture)]
    assert np.all(mixture.predict(X[second]) == 0) or np.all(mixture.predict(X[second]) == 1)
    assert set(places) <= {int(mixture.predict(X[second])[0])}
    assert np.isfinite(mixture.score_samples(X)).all()


def of_pieces(mixture):
    """Return the components that are flows of one piece."""
    return [one for one in mixture.components_ if one.flow not in (None, mixture.flow_)]


def test_each_piece_has_a_flow_with_a_certificate(mixture):
    flows = of_pieces(mixture)
    assert [mixture.pieces_[one.k] for one in flows] == [0, 1]
    assert flows[0].weight / flows[1].weight == pytest.approx(1.5, rel=0.2)
    assert sum(one.weight for one in flows) > 0.2
    for one in flows:
        assert one.certificate.stationarity < 1e-5
    assert all(one.certificate is None for one in mixture.components_ if one.flow is None)
    assert "flows of pieces" in mixture.report_.pool


def test_flows_are_of_their_pieces(mixture):
    X, truth = bent(4000, 1)
    for one in of_pieces(mixture):
        own = mixture.predict(X) == mixture.pieces_[one.k]
        log_density = one.score_samples(X)
        assert np.mean(log_density[own]) > np.mean(log_density[~own]) + 10.0
        Z = one.transform(X[own])
        assert np.abs(Z.mean(axis=0)).max() < 0.25
        assert np.abs(Z.std(axis=0) - 1.0).max() < 0.25
    assert np.mean(truth - mixture.score_samples(X)) < 0.3


def test_files_hold_flows_of_pieces(mixture, tmp_path):
    X, _ = bent(100, 1)
    mixture.save(tmp_path / "m.brenier")
    loaded = load(tmp_path / "m.brenier")
    np.testing.assert_array_equal(loaded.score_samples(X), mixture.score_samples(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), mixture.predict_proba(X))
    known = [(one.weight, one.certificate) for one in mixture.components_]
    assert [(one.weight, one.certificate) for one in loaded.components_] == known


@pytest.mark.parametrize("structures", [lambda s: s[:1], lambda s: [*s, s[0]], lambda s: [3, 4]])
def test_altered_structures_are_refused(mixture, tmp_path, structures):
    mixture.save(tmp_path / "m.brenier")
    metadata, arrays = read_model(tmp_path / "m.brenier")
    altered = {**metadata, "components": structures(metadata["components"])}
    write_model(tmp_path / "other.brenier", altered, arrays)
    with pytest.raises(ModelFileError, match="Expected"):
        load(tmp_path / "other.brenier")


def test_one_piece_has_none():
    X = np.random.default_rng(0).normal(size=(400, 2))
    whole = ConvexPotentialMixture(**SMALL | {"max_iter": 10}).fit(X)
    assert of_pieces(whole) == []
    assert set(whole.predict(X)) == {0}
