"""Regressors and classifiers beside brenier's: how each is fitted, and what it predicts.

Every fit sees training rows only; what is chosen is chosen by five folds of them. Targets of neural
networks are standardised, and so are the columns of all but trees, which do not mind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.peers.convex_least_squares import ConvexLeastSquares

FOLDS = 5
# 4 x 3 x 2 networks.
SIZES, PENALTIES, SOLVERS = (
    ((32,), (100,), (50, 50), (100, 50)),
    (1e-4, 1e-2, 1.0),
    ("adam", "lbfgs"),
)
MOST_ITERATIONS = 500
STRENGTHS = tuple(10.0**k for k in range(-4, 5))
RIDGES = tuple(10.0**k for k in range(-4, 5))
# Weights of the squared subgradients that convex least squares chooses from, of unit targets.
SUBGRADIENTS = (1e-4, 1e-3, 1e-2, 1e-1)
# Rows beyond which a convex least-squares fit with its N^2 constraints takes too long.
MOST_ROWS = 300
# Where brenier's are.
MODULES: Mapping[str, str] = MappingProxyType(
    {
        "VarProRegressor": "brenier.estimators.varpro_regressor",
        "VarProClassifier": "brenier.estimators.varpro_classifier",
        "ConvexFunctionRegressor": "brenier.estimators.convex_regression",
    }
)
CHOICE = (
    f"the best of {len(SIZES) * len(PENALTIES) * len(SOLVERS)} by {FOLDS} folds of the training "
    f"rows: hidden layers {', '.join(' x '.join(map(str, size)) for size in SIZES)}, alpha "
    f"{', '.join(f'{alpha:g}' for alpha in PENALTIES)}, Adam or L-BFGS, {MOST_ITERATIONS} "
    "iterations at most"
)


class Predictor(NamedTuple):
    """A fitted model: predictions, of a classifier probabilities, and what was chosen."""

    predict: Callable[[np.ndarray], np.ndarray]
    chosen: dict[str, Any]


Fit = Callable[[np.ndarray, np.ndarray, int], Predictor]
"""Fits rows and targets with a seed."""


@dataclass(frozen=True)
class Method:
    """A method that is compared.

    Parameters
    ----------
    treatment : str
        How it is fitted, in words.
    fit : Fit
        Fits it.
    most_rows : int or None
        Beyond how many it is not run.
    ours : bool
        Whether it is brenier's.
    """

    treatment: str
    fit: Fit
    most_rows: int | None = None
    ours: bool = False


def _regressor(make: Callable[[int], Any]) -> Fit:
    """Return the fit of one of scikit-learn's regressors on standardised columns and target."""

    def fit(X: np.ndarray, y: np.ndarray, seed: int) -> Predictor:
        model: Any = TransformedTargetRegressor(
            make_pipeline(StandardScaler(), make(seed)), transformer=StandardScaler()
        ).fit(X, y)
        return Predictor(model.predict, _chosen(model.regressor_[-1]))

    return fit


def _classifier(make: Callable[[int], Any]) -> Fit:
    def fit(X: np.ndarray, y: np.ndarray, seed: int) -> Predictor:
        model = make_pipeline(StandardScaler(), make(seed)).fit(X, y)
        return Predictor(model.predict_proba, _chosen(model[-1]))

    return fit


def _plain(make: Callable[[int], Any], method: str) -> Fit:
    """Return the fit of an estimator to rows as they are."""

    def fit(X: np.ndarray, y: np.ndarray, seed: int) -> Predictor:
        model = make(seed).fit(X, y)
        return Predictor(getattr(model, method), {})

    return fit


def _ours(name: str, method: str = "predict") -> Fit:
    """Return the fit of one of brenier's estimators with its defaults."""
    return _plain(lambda seed: load(name)(random_state=seed), method)


def load(name: str) -> Any:
    """Return one of brenier's estimators, public or not yet.

    Raises
    ------
    ImportError
        If there is none of this name.
    """
    found = _found(name)
    if found is None:
        raise ImportError(f"brenier has no {name}")
    return found


def is_there(name: str) -> bool:
    """Return whether brenier has an estimator of this name."""
    return _found(name) is not None


def _found(name: str) -> Any:
    for module in ("brenier", MODULES[name]):
        if find_spec(module) is not None:
            found = getattr(import_module(module), name, None)
            if found is not None:
                return found
    return None


def _chosen(model: Any) -> dict[str, Any]:
    found = getattr(model, "best_params_", None) or {}
    if isinstance(model, RidgeCV):
        found = {"alpha": float(np.asarray(model.alpha_))}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _best(make: Callable[[int], Any], grid: Mapping[str, Any], scoring: str, folds: Any) -> Any:
    """Return what makes the best of a grid by folds of the training rows."""
    return lambda seed: GridSearchCV(
        make(seed), dict(grid), scoring=scoring, cv=folds(FOLDS, shuffle=True, random_state=seed)
    )


def _gaussian_process(seed: int) -> Any:
    kernel = ConstantKernel(1.0, (1e-3, 1e5)) * RBF(1.0, (1e-2, 1e4)) + WhiteKernel(
        0.1, (1e-6, 1e1)
    )
    return GaussianProcessRegressor(kernel, random_state=seed)


GRID = {"hidden_layer_sizes": SIZES, "alpha": PENALTIES, "solver": SOLVERS}
ERROR, LOSS = "neg_mean_squared_error", "neg_log_loss"
TREES = "gradient boosting of trees with its defaults (`HistGradientBoosting...` of scikit-learn)"

REGRESSORS: Mapping[str, Method] = MappingProxyType(
    {
        "VarProRegressor": Method("the defaults", _ours("VarProRegressor"), ours=True),
        "MLPRegressor": Method(
            "scikit-learn's network with its defaults",
            _regressor(lambda seed: MLPRegressor(random_state=seed)),
        ),
        "MLPRegressor, best of 24": Method(
            CHOICE,
            _regressor(
                _best(
                    lambda seed: MLPRegressor(random_state=seed, max_iter=MOST_ITERATIONS),
                    GRID,
                    ERROR,
                    KFold,
                )
            ),
        ),
        "HistGradientBoosting": Method(
            TREES, _plain(lambda seed: HistGradientBoostingRegressor(random_state=seed), "predict")
        ),
        "ridge": Method(
            "ridge regression, its penalty by leaving one row out",
            _regressor(lambda seed: RidgeCV(RIDGES)),
        ),
    }
)
CLASSIFIERS: Mapping[str, Method] = MappingProxyType(
    {
        "VarProClassifier": Method(
            "the defaults", _ours("VarProClassifier", "predict_proba"), ours=True
        ),
        "MLPClassifier": Method(
            "scikit-learn's network with its defaults",
            _classifier(lambda seed: MLPClassifier(random_state=seed)),
        ),
        "MLPClassifier, best of 24": Method(
            CHOICE,
            _classifier(
                _best(
                    lambda seed: MLPClassifier(random_state=seed, max_iter=MOST_ITERATIONS),
                    GRID,
                    LOSS,
                    StratifiedKFold,
                )
            ),
        ),
        "LogisticRegression": Method(
            "with its defaults", _classifier(lambda seed: LogisticRegression())
        ),
        "LogisticRegression, best C": Method(
            f"the best C of {len(STRENGTHS)} by {FOLDS} folds of the training rows",
            _classifier(
                _best(
                    lambda seed: LogisticRegression(max_iter=MOST_ITERATIONS),
                    {"C": STRENGTHS},
                    LOSS,
                    StratifiedKFold,
                )
            ),
        ),
        "HistGradientBoosting": Method(
            TREES,
            _plain(lambda seed: HistGradientBoostingClassifier(random_state=seed), "predict_proba"),
        ),
    }
)
CONVEX: Mapping[str, Method] = MappingProxyType(
    {
        "ConvexFunctionRegressor": Method(
            "the defaults", _ours("ConvexFunctionRegressor"), ours=True
        ),
        "VarProRegressor": Method("the defaults", _ours("VarProRegressor"), ours=True),
        "convex least squares": Method(
            "value and subgradient at every row, N (N - 1) constraints, the largest of the "
            f"tangents at rows (Boyd, Vandenberghe 2004, 6.5.5), by CVXPY; up to {MOST_ROWS} rows",
            _regressor(lambda seed: ConvexLeastSquares()),
            MOST_ROWS,
        ),
        "convex least squares, ridge": Method(
            "the same with the mean squared length of the subgradients penalised, its weight the "
            f"best of {len(SUBGRADIENTS)} by {FOLDS} folds of the training rows",
            _regressor(
                _best(lambda seed: ConvexLeastSquares(), {"penalty": SUBGRADIENTS}, ERROR, KFold)
            ),
            MOST_ROWS,
        ),
        "Gaussian process": Method(
            "squared exponential kernel and noise, by their marginal likelihood; not convex",
            _regressor(_gaussian_process),
        ),
        "HistGradientBoosting": Method(
            TREES, _plain(lambda seed: HistGradientBoostingRegressor(random_state=seed), "predict")
        ),
    }
)
