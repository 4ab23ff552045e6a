"""Fits that begin at a model: whether it is one of the same kind, and how such a fit differs."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from brenier.data.bounds import column_bounds
from brenier.data.names import quoted
from brenier.estimators.files import names_in
from brenier.estimators.parameters import AUTO, settings_of
from brenier.estimators.tables import column_names
from brenier.training.continued import Continued, potentials_of
from brenier.training.families import AbstractFamily, ConditionalFamily, JointFamily
from brenier.training.settings import Settings

# Settings that decide what a model's weights are.
SAME = ("widths", "context_widths", "n_gates", "whiten", "algorithm")


def begun(
    estimator: Any,
    start: Any,
    family: JointFamily | ConditionalFamily,
    settings: Settings,
    names: list[str],
) -> tuple[AbstractFamily, Settings]:
    """Return the family and the settings of a fit that begins at a model, if one is given.

    Parameters
    ----------
    estimator
        What is to be fitted; it knows the columns of its rows.
    start : fitted estimator or None
        The model.
    family, settings
        Those of a fit from nothing.
    names : list of str
        Of the density's own columns.

    Raises
    ------
    ValueError
        If the model is of another kind, other columns, bounds or settings; the message says which.
    """
    if start is None:
        return family, settings
    kind = type(estimator).__name__
    if not estimator._goes_on or estimator.n_maps == AUTO:
        raise ValueError(
            f"Expected no start of a {kind} with n_maps={estimator.n_maps!r}; got one. What "
            "chooses between models begins from nothing: leave it out."
        )
    if type(start) is not type(estimator):
        raise ValueError(
            f"Expected a fitted {kind} as start; got a {type(start).__name__}. Leave it out."
        )
    check_is_fitted(start)
    if not (estimator.folding_.is_plain and start.folding_.is_plain):
        raise ValueError(
            "Expected no start with periodic or discrete columns, whose rows are laid out anew in "
            "every fit; got one. Leave it out."
        )
    _check_same(estimator, start, settings, names)
    members = potentials_of(start.flow_)
    if start.report_.is_gaussian or not members:
        # It has no weights to begin at.
        return family, settings
    decay = start.report_.decay if estimator.decay is None else settings.decay
    own = replace(settings, decay=decay, n_radial=start.report_.n_radial)
    old = start.flow_.preprocessing
    order = np.concatenate([old.order, old.n + old.context_order])
    return Continued(replace(family, order=order), start.flow_), own


def _check_same(estimator: Any, start: Any, settings: Settings, names: list[str]) -> None:
    """Raise unless columns, bounds and settings are the model's."""
    conditional = estimator._is_conditional
    pairs: dict[str, tuple[Any, Any]] = {"columns": (column_names(estimator), column_names(start))}
    if conditional:
        targets = "target_names_"
        pairs["targets"] = (names_in(estimator, targets), names_in(start, targets))
    own = column_bounds(estimator.bounds, names)
    old = start.flow_.preprocessing.column_bounds
    pairs["bounds"] = ([*zip(*own, strict=True)], [*zip(old.low, old.high, strict=True)])
    theirs = settings_of(start, conditional=conditional)
    pairs |= {name: (getattr(settings, name), getattr(theirs, name)) for name in SAME}
    pairs["n_maps"] = (settings.n_maps, theirs.n_maps)
    different = [name for name, (new, old) in pairs.items() if not _equal(new, old)]
    if different:
        said = "; ".join(f"{name} {pairs[name][0]}, not {pairs[name][1]}" for name in different)
        raise ValueError(
            f"Expected the model's own {quoted(different)}; got {said}. Fit without start, or "
            "with the model's settings."
        )


def _equal(new: Any, old: Any) -> bool:
    return new == old or (isinstance(new, list) and np.array_equal(new, old))
