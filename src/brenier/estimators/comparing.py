"""Models compared on rows that none has seen: paired differences, KL divergences, entropies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from brenier.data.names import quoted
from brenier.diagnostics.compare import compare as compare_densities
from brenier.diagnostics.diagnosis import Comparison
from brenier.estimators.abstract_conditional import AbstractConditional
from brenier.estimators.diagnosing import own_seed, told_in_words
from brenier.estimators.tables import column_names
from brenier.estimators.targets import check_same_length, checked_targets
from brenier.estimators.weights import checked_weights


def compare(
    models: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    n_draws: int = 2000,
    random_state: Any = 0,
) -> Comparison:
    """Return how fitted models stand to each other.

    Parameters
    ----------
    models : mapping of names to models, or sequence of models
        Fitted to the same columns, in any order; all joint densities, or all conditional ones.
    X : array or table, (N, n)
        Rows that none of them has seen; of conditional models the context. An array has its
        columns in the first model's order.
    y : array or table, (N,) or (N, n), optional
        Targets of conditional models.
    sample_weight : (N,), optional
        Weights of the rows.
    n_draws : int, default=2000
        Draws of each model, for divergences and entropies; of conditional models one at each of
        so many rows of X, taken again and again if they are fewer.
    random_state : int, RandomState or None, default=0
        Seed of the draws.

    Returns
    -------
    Comparison
        Mean log-densities, paired differences, KL divergences both ways, entropies, each with its
        standard error.

    Raises
    ------
    ValueError
        If there are fewer than two models, or they are not of the same columns.

    Examples
    --------
    >>> import brenier
    >>> from brenier.data.datasets import MAFMoon
    >>> X = MAFMoon().sample(400, random_state=0)
    >>> few = {"widths": (8,), "max_iter": 10, "n_estimators": 1}
    >>> one = brenier.ConvexPotentialFlow(**few, decay=0.1).fit(X[:300])
    >>> other = brenier.ConvexPotentialFlow(**few, decay=1e-3).fit(X[:300])
    >>> brenier.compare({"one": one, "other": other}, X[300:]).differences.shape
    (2, 2)
    """
    if not isinstance(models, Mapping | Sequence) or isinstance(models, str):
        raise ValueError(f"Expected two models or more to compare; got {models!r:.60}.")
    named = dict(models) if isinstance(models, Mapping) else dict(_numbered(models))
    _check_models(named)
    _check_kinds(named)
    each, seed = list(named.values()), own_seed(random_state, 0)
    with told_in_words():
        compared = _conditional if isinstance(each[0], AbstractConditional) else _joint
        rows, log_densities, draws = compared(each, X, y, int(n_draws), seed)
        weights = checked_weights(sample_weight, rows)
        return compare_densities(list(named), log_densities, draws, rows, weights)


def _numbered(models: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(f"model {k + 1}", model) for k, model in enumerate(models)]


def _check_models(named: dict[str, Any]) -> None:
    if len(named) < 2:
        raise ValueError(f"Expected two models or more to compare; got {len(named)}.")
    for name, model in named.items():
        if not isinstance(model, BaseEstimator):
            raise ValueError(
                f"Expected fitted densities to compare; got {model!r:.60} as {name!r}. Read the "
                "model in a file with brenier.load."
            )
        check_is_fitted(model)
    first, *others = ((name, _columns(model)) for name, model in named.items())
    for name, columns in others:
        if tuple(map(sorted, columns)) != tuple(map(sorted, first[1])):
            raise ValueError(
                "Expected models of the same columns; got "
                f"{quoted(first[1][0] + first[1][1])} of {first[0]!r} and "
                f"{quoted(columns[0] + columns[1])} of {name!r}."
            )


def _check_kinds(named: dict[str, Any]) -> None:
    """Raise `ValueError` where columns are discrete in one model and not in another."""
    discrete = {
        name: {column_names(model)[c] for c in model.folding_.cells.columns}
        for name, model in named.items()
    }
    (first, own), *others = discrete.items()
    for name, columns in others:
        if columns != own:
            raise ValueError(
                "Expected models of the same discrete columns, for a probability is no density; "
                f"got {sorted(own)} of {first!r} and {sorted(columns)} of {name!r}."
            )


def _columns(model: Any) -> tuple[list[str], list[str]]:
    """Return the columns whose density it is, and those of the context."""
    if isinstance(model, AbstractConditional):
        return [str(name) for name in model.target_names_], column_names(model)
    return column_names(model), []


def _order(names: Sequence[str], like: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Return where each of some names stands among the same names in another order."""
    return np.array([list(like).index(name) for name in names], dtype=int)


def _joint(each: list[Any], X: Any, y: Any, n_draws: int, seed: int) -> tuple[Any, ...]:
    if y is not None:
        raise ValueError("Expected no y for joint densities; got one. Give it as columns of X.")
    first = column_names(each[0])
    orders = [_order(column_names(model), first) for model in each]

    def log_density(model: Any, order: Int[np.ndarray, " n"]) -> Any:
        return lambda rows: model._log_density(rows[:, order])

    draws = [
        np.asarray(model.sample(n_draws, random_state=seed))[:, np.argsort(order)]
        for model, order in zip(each, orders, strict=True)
    ]
    densities = [log_density(*one) for one in zip(each, orders, strict=True)]
    found = [rows[np.isfinite(rows).all(axis=1)] for rows in draws]
    return each[0]._rows(X), densities, found


def _conditional(each: list[Any], X: Any, y: Any, n_draws: int, seed: int) -> tuple[Any, ...]:
    if y is None:
        raise ValueError("Expected targets y for conditional densities; got None.")
    C, Y = each[0]._context(X), checked_targets(each[0], y)
    check_same_length(C, Y)
    n = Y.shape[1]
    targets, contexts = _columns(each[0])
    orders = [_order(_columns(model)[0], targets) for model in each]
    of_context = [_order(_columns(model)[1], contexts) for model in each]
    order = np.random.default_rng(seed).permutation(len(C))
    at = C[order[np.arange(n_draws) % len(C)]]

    def log_density(model: Any, own: np.ndarray, other: np.ndarray) -> Any:
        order = np.concatenate([own, n + other])
        return lambda rows: model._density(rows[:, order])

    draws: list[Float[np.ndarray, "M d"]] = []
    for model, own, other in zip(each, orders, of_context, strict=True):
        drawn = model._random_targets(at[:, other], 1, np.random.default_rng(seed))[:, 0]
        both = np.concatenate([drawn[:, np.argsort(own)], at], axis=1)
        draws.append(both[np.isfinite(both).all(axis=1)])
    densities = [log_density(*one) for one in zip(each, orders, of_context, strict=True)]
    return np.concatenate([Y, C], axis=1), densities, draws
