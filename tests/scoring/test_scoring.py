"""Scoring without JAX: the same numbers as the estimators, in a process that cannot import it."""

import json
import subprocess
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from small_fits import ends_early, rows, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConditionalConvexPotentialMixture,
    ConvexPotentialFlow,
    ConvexPotentialMixture,
    ConvexPotentialRegressor,
    TriangularConvexPotentialFlow,
    load,
    scoring,
)
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import Preprocessing
from brenier.flow.tail import Tail
from brenier.io.model_file import ModelFileError, read_model, write_model
from brenier.scoring.density import checked

pytestmark = [ends_early, pytest.mark.usefixtures("few_mixtures")]
FIXTURES = Path(__file__).parents[1] / "fixtures"
# What is promised.
AGREE = {"rtol": 1e-10, "atol": 1e-10}
FEW = {"widths": (3,), "n_estimators": 1, "max_iter": 10, "validation_fraction": 0.0}
GIVEN = {"context_widths": (3,), "n_gates": 1, **FEW}
# Seconds from the start of the process; the rest is Python's own start.
QUICK = 0.3


def positive(n_rows=112):
    return np.exp(0.3 * rows(n_rows=n_rows))


@cache
def bounded():
    X = positive()
    bounds = [(0, None), (0, 2 * X[:, 1].max())]
    return small(bounds=bounds, n_radial=2, widths=(4, 3)).fit(X), X


@cache
def composed():
    X = rows(n_rows=112)
    return small(n_maps=2, widths=(3,)).fit(X), X


def averaged():
    X = rows(n_rows=112)
    settings = {"validation_fraction": 0.2, "n_estimators": 2, "n_radial": 2, "decay": 0.1}
    return small(**settings).fit(X), X


@cache
def thesis():
    X = rows(n_rows=112)
    few = {"max_iter": 10, "validation_fraction": 0.0, "widths": (4, 3)}
    return ConvexPotentialFlow.thesis(**few).fit(X), X


def with_tails():
    flow, X = deepcopy(composed())
    own = flow.flow_
    inner = Preprocessing(own.preprocessing.inner.bounds, own.preprocessing.inner.whitening, None)
    far = Preprocessing(inner.bounds, inner.whitening, Tail(np.array(0.02)))
    ordered = type(own.preprocessing)(far, own.preprocessing.order, own.preprocessing.context_order)
    flow.flow_ = ConvexFlow(ordered, own.map, Tail(np.array(0.05)))
    return flow, X


def mixture():
    X = positive(300)
    X[::3, 0] += 30.0
    settings = {"n_radial": 0, "noise": 0.0, "max_iter": 15, "decay": 1e-2, "widths": (8,)}
    settings |= {"n_estimators": 2}
    return ConvexPotentialMixture(bounds=[(0, None)] * 2, **settings).fit(X), X


def triangular():
    X = rows(n_rows=112) @ np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.4]])
    X = X + 0.3 * np.random.default_rng(0).normal(size=X.shape)
    leading, following = small(widths=(3,)), ConditionalConvexPotentialFlow(**GIVEN)
    flow = TriangularConvexPotentialFlow([[1], [2, 0]], leading=leading, following=following)
    return flow.fit(X), X


JOINT = (bounded, composed, averaged, thesis, with_tails, triangular)


@pytest.fixture(params=JOINT, ids=lambda make: make.__name__)
def joint(request):
    return request.param()


def test_numbers_are_the_estimators(joint, tmp_path):
    flow, X = joint
    flow.save(tmp_path / "m")
    density = scoring.load(tmp_path / "m")
    far = np.concatenate([X, X.mean(axis=0) + 1.9 * (X - X.mean(axis=0))])
    np.testing.assert_allclose(density.score_samples(far), flow.score_samples(far), **AGREE)
    Z = flow.transform(X)
    np.testing.assert_allclose(density.transform(X), Z, **AGREE)
    # Both solve for it to 1e-11 in z.
    np.testing.assert_allclose(density.inverse_transform(Z), X, rtol=1e-8, atol=1e-8)
    assert density.score_samples(X[:0]).shape == (0,)


def test_rows_outside_the_bounds_and_points_without_a_preimage(tmp_path):
    flow, _ = bounded()
    flow.save(tmp_path / "m")
    density = scoring.load(tmp_path / "m")
    outside = np.array([[-1.0, 1.0], [1.0, 1e6]])
    assert np.isneginf(density.score_samples(outside)).all()
    assert np.isnan(density.transform(outside)).all()
    flow, _ = thesis()
    flow.save(tmp_path / "m")
    far = np.full((1, 2), 1e3)
    assert np.isnan(scoring.load(tmp_path / "m").inverse_transform(far)).all()


def test_a_mixture_has_the_same_density(tmp_path):
    flow, X = mixture()
    flow.save(tmp_path / "m")
    rows = np.concatenate([X, -X])
    got = scoring.load(tmp_path / "m").score_samples(rows)
    np.testing.assert_allclose(got, flow.score_samples(rows), **AGREE)


@pytest.mark.parametrize("kind", [ConditionalConvexPotentialFlow, ConvexPotentialRegressor])
def test_a_conditional_density_is_the_same(kind, tmp_path):
    rng = np.random.default_rng(0)
    X = np.exp(3 * rng.normal(size=(112, 2)))
    # Noise that grows with the context, so that the file has a scale that depends on it.
    Y = np.log(X[:, :1]) + 0.3 * X[:, 1:] ** 0.5 * rng.normal(size=(112, 1))
    settings = GIVEN | {"widths": (4, 3)}
    flow = kind(**settings).fit(X, Y if kind is ConditionalConvexPotentialFlow else Y[:, 0])
    flow.save(tmp_path / "m")
    density = scoring.load(tmp_path / "m")
    saved = load(tmp_path / "m")
    assert saved.flow_.preprocessing.inner.spread is not None
    as_joint = np.concatenate([Y, X], axis=1)
    expected = saved._density(as_joint)
    np.testing.assert_allclose(density.score_samples(X, Y), expected, **AGREE)
    np.testing.assert_allclose(density.score_samples(X, Y[:, 0]), expected, **AGREE)
    Z = density.transform(X, Y)
    np.testing.assert_allclose(density.inverse_transform(X, Z), Y, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("path", [*FIXTURES.glob("*.brenier")], ids=lambda path: path.stem)
def test_files_of_older_formats_are_read(path):
    # It compares the log-densities of a file's probes with those stored in it.
    assert scoring.load(path).columns is None or scoring.load(path).columns


def test_what_is_not_scored_is_an_error(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(112, 1))
    flow = ConditionalConvexPotentialMixture(**GIVEN).fit(X, X + rng.normal(size=(112, 1)))
    flow.save(tmp_path / "m")
    with pytest.raises(ModelFileError, match="not scored without JAX. Load it with brenier.load"):
        scoring.load(tmp_path / "m")


def test_bad_rows_and_other_models_are_errors(tmp_path):
    flow, X = composed()
    flow.save(tmp_path / "m")
    density = scoring.load(tmp_path / "m")
    with pytest.raises(ValueError, match=r"Expected rows of shape \(N, 2\); got \(112, 1\)"):
        density.score_samples(X[:, :1])
    with_nan = X.copy()
    with_nan[7, 1] = np.nan
    with pytest.raises(ValueError, match="got nan in row 7, column 1"):
        density.score_samples(with_nan)
    metadata, arrays = read_model(tmp_path / "m")
    write_model(tmp_path / "m", metadata, arrays | {"map.1.w": 1.1 * arrays["map.1.w"]})
    with pytest.raises(ModelFileError, match="log-densities stored with it"):
        scoring.load(tmp_path / "m")
    del arrays["whitening.scale"]
    write_model(tmp_path / "m", metadata, arrays)
    with pytest.raises(ModelFileError, match="does not fit together"):
        scoring.load(tmp_path / "m")


ALONE = """
import json, sys, time

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jax", "jaxlib", "equinox", "jaxtyping", "sklearn", "scipy"}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
began = time.process_time()
from brenier import scoring
seconds = time.process_time() - began
import numpy as np
X = np.load("X.npy")
density = scoring.load("m")
Z = density.transform(X)
found = {"seconds": seconds, "scores": density.score_samples(X).tolist(),
    "back": density.inverse_transform(Z).tolist()}
try:
    scoring.load("between")
except ImportError as error:
    found["said"] = str(error)
print(json.dumps(found))
"""


def test_it_is_imported_quickly_and_needs_numpy_and_safetensors_alone(tmp_path):
    X = positive()
    flow = small(bounds=[(0, None), (None, None)]).fit(X)
    flow.save(tmp_path / "m")
    bounded()[0].save(tmp_path / "between")
    np.save(tmp_path / "X.npy", X)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(run.stdout)
    np.testing.assert_allclose(found["scores"], flow.score_samples(X), **AGREE)
    np.testing.assert_allclose(found["back"], X, rtol=1e-8)
    assert found["said"].endswith("Install it: pip install scipy.")
    assert found["seconds"] < QUICK


class Table:
    """A table with names, as data frames have them."""

    def __init__(self, columns, rows):
        self.columns, self._rows = columns, rows

    def __getitem__(self, names):
        return Table(names, self._rows[:, [self.columns.index(name) for name in names]])

    def __array__(self, dtype=None, copy=None):
        return self._rows.astype(dtype)


def test_columns_of_a_table_are_taken_by_their_names():
    X = np.arange(6.0).reshape(2, 3)
    names = ["a", "b", "c"]
    moved = Table(["c", "a", "b"], X[:, [2, 0, 1]])
    np.testing.assert_array_equal(checked(moved, 3, names), X)
    np.testing.assert_array_equal(checked(X, 3, names), X)
    with pytest.raises(ValueError, match=r"got none of \['a'\]"):
        checked(Table(["b", "c"], X[:, 1:]), 3, names)
