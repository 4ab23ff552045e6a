"""scikit-learn's tools around an estimator: pipelines, grids and cross-validation, in processes."""

import os

import numpy as np
import pytest
from joblib import parallel_backend
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_fits import ends_early, rows, small

from brenier import ConditionalConvexPotentialFlow

pytestmark = ends_early
FEW = {"widths": (3,), "max_iter": 5}
FOLDS = KFold(2, shuffle=True, random_state=0)


@pytest.fixture(autouse=True)
def quiet_processes(monkeypatch):
    """Let fits of five iterations end early in other processes too, which pytest does not see."""
    monkeypatch.setitem(os.environ, "PYTHONWARNINGS", "ignore")


def test_cross_validation_in_two_processes_is_that_in_one():
    X = rows(n_rows=112)
    flow = small(decay=0.1, **FEW)
    here = cross_val_score(flow, X, cv=FOLDS)
    with parallel_backend("loky"):
        there = cross_val_score(flow, X, cv=FOLDS, n_jobs=2)
    np.testing.assert_allclose(there, here, rtol=1e-9)


def test_a_grid_search_in_two_processes_over_a_pipeline():
    X = rows(n_rows=112)
    pipeline = make_pipeline(StandardScaler(), PCA(), small(**FEW))
    grid = {"convexpotentialflow__decay": [0.01, 1.0]}
    with parallel_backend("loky"):
        search = GridSearchCV(pipeline, grid, cv=FOLDS, n_jobs=2).fit(X)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    best = search.best_estimator_
    assert best[-1].decay == grid["convexpotentialflow__decay"][np.argmax(scores)]
    # All its steps have images, and ways back.
    np.testing.assert_allclose(best.inverse_transform(best.transform(X)), X, rtol=1e-6, atol=1e-6)
    assert search.score(X) == pytest.approx(best[-1].score(best[:-1].transform(X)), rel=1e-9)


def test_a_conditional_density_is_searched_over_too():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(112, 1))
    y = X[:, 0] + 0.3 * rng.normal(size=112)
    settings = {"context_widths": (3,), "n_gates": 1, "n_estimators": 1, **FEW}
    flow = ConditionalConvexPotentialFlow(validation_fraction=0.0, **settings)
    with parallel_backend("loky"):
        search = GridSearchCV(flow, {"decay": [0.01, 1.0]}, cv=FOLDS, n_jobs=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
