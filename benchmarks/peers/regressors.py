"""Densities of a target given features, in the target's own units."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data import Regression
from brenier import ConditionalConvexPotentialFlow

# Probability of the central interval whose coverage is counted.
LEVEL = 0.9


class Regressed(NamedTuple):
    """A fitted density of a target.

    `log_density` is of rows and their targets (nats); `interval` returns the ends (N, 2) of the
    central interval at every row; `chosen` are settings that held-out rows chose.
    """

    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray]
    interval: Callable[[np.ndarray], np.ndarray]
    chosen: dict[str, Any]


def brenier(rows: Regression, split: int) -> Regressed:
    """Fit with the defaults."""
    flow = ConditionalConvexPotentialFlow().fit(rows.X, rows.y)
    chosen = {"decay": flow.report_.decay, "status": flow.report_.status.value}
    return Regressed(flow.score_samples, lambda X: flow.interval(X, LEVEL), chosen)


def ngboost(rows: Regression, split: int) -> Regressed:
    """Fit with the defaults, silently; the seed only breaks ties between trees."""
    from ngboost import NGBRegressor

    model = NGBRegressor(random_state=split, verbose=False).fit(rows.X, rows.y)

    def log_density(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return model.pred_dist(X).logpdf(y)

    def interval(X: np.ndarray) -> np.ndarray:
        return np.column_stack(model.pred_dist(X).dist.interval(LEVEL))

    return Regressed(log_density, interval, {})
