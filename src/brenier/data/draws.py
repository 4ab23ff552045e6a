"""Draws of Markov chains, as samplers' libraries hold them, as rows; and rows as draws again.

A variable is an array (chains, draws, ...): of vectors and matrices every entry is a column,
`theta[0]`, `theta[1]`, `L[0, 1]`, as ArviZ names them. Neither ArviZ nor xarray is imported to read
their objects: of these nothing is asked but what their documentation promises.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from brenier.data.names import quoted
from brenier.patterns import suggestion

# A column's name: a variable's, and the place of an entry if that has several.
ENTRY = re.compile(r"(?P<variable>.+)\[(?P<place>[^\[\]]+)\]", re.DOTALL)
# The first version of ArviZ without `InferenceData`.
WITH_TREES = 1


@dataclass(frozen=True)
class Draws:
    """Draws of chains as rows.

    `X, names, groups = draws` works too.

    Attributes
    ----------
    X : (N, n)
        Draws, chain after chain, each in its order.
    names : list of n str
        The columns' names.
    groups : (N,)
        The number of every row's chain, as `fit(X, groups=groups)` takes it.
    """

    X: Float[np.ndarray, "N n"]
    names: list[str]
    groups: Int[np.ndarray, " N"]

    def __iter__(self):
        """Return X, names and groups, one after the other."""
        return iter((self.X, self.names, self.groups))


def from_arviz(
    draws: Any, variables: Sequence[str] | str | None = None, *, group: str = "posterior"
) -> Draws:
    """Return draws as rows, the names of their columns, and which chain each row is of.

    Parameters
    ----------
    draws : InferenceData, DataTree, Dataset or mapping
        What a sampler's library holds: an object of ArviZ, a dataset of xarray, or arrays
        (chains, draws, ...) by variable.
    variables : list of str, optional
        The variables that are columns, in this order. None: all.
    group : str, default="posterior"
        Which group of an `InferenceData` or `DataTree`.

    Raises
    ------
    ValueError
        If there is no such group or variable, or one is none of chains and draws of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import from_arviz
    >>> rng = np.random.default_rng(0)
    >>> chains = {"mu": rng.normal(size=(4, 250)), "theta": rng.normal(size=(4, 250, 2))}
    >>> X, names, groups = from_arviz(chains)
    >>> X.shape, names
    ((1000, 3), ['mu', 'theta[0]', 'theta[1]'])
    >>> groups[[0, 249, 250]].tolist()
    [0, 0, 1]
    """
    held = _variables(draws, group)
    wanted = [variables] if isinstance(variables, str) else variables
    columns, names, shape = [], [], None
    for name in list(held) if wanted is None else wanted:
        if name not in held:
            raise ValueError(
                f"Expected variables among {quoted(list(held))}; got {name!r}."
                f"{suggestion(name, held)}"
            )
        values, entries = _entries(name, held[name])
        if shape not in (None, values.shape[:2]):
            raise ValueError(
                f"Expected {shape[0]} chains of {shape[1]} draws in every variable; got "
                f"{values.shape[0]} of {values.shape[1]} in {name!r}. Choose variables that have "
                "the same."
            )
        shape = values.shape[:2]
        columns.append(values.reshape(math.prod(shape), -1))
        names += entries
    if shape is None:
        raise ValueError("Expected at least one variable; got none.")
    groups = np.repeat(np.arange(shape[0]), shape[1])
    return Draws(np.concatenate(columns, axis=1), names, groups)


def to_arviz(draws: Any, names: Sequence[str], *, n_chains: int = 1) -> Any:
    """Return rows as draws of ArviZ: an `InferenceData`, from its version 1 on a `DataTree`.

    Parameters
    ----------
    draws : array or table, (N, n)
        Rows, such as a fitted density's `sample` returns them; chain after chain.
    names : list of n str
        The columns' names; `theta[0]`, `theta[1]` become one variable.
    n_chains : int, default=1
        How many chains of equal length the rows are.

    Raises
    ------
    ImportError
        If ArviZ is not installed. `brenier.to_chains` returns arrays by variable without it.
    ValueError
        If rows, names and chains do not fit together.
    """
    chains = to_chains(draws, names, n_chains=n_chains)
    library = _arviz()
    if library.__name__ == "arviz" and int(library.__version__.split(".")[0]) < WITH_TREES:
        return library.from_dict(posterior=chains)
    return library.from_dict({"posterior": chains})


def to_chains(
    draws: Any, names: Sequence[str], *, n_chains: int = 1
) -> dict[str, Float[np.ndarray, "chains draws *entries"]]:
    """Return rows as arrays (chains, draws, ...) by variable: the way back of `from_arviz`.

    Parameters
    ----------
    draws : array or table, (N, n)
        Rows; chain after chain.
    names : list of n str
        The columns' names; `theta[0]`, `theta[1]` become one variable.
    n_chains : int, default=1
        How many chains of equal length the rows are.

    Raises
    ------
    ValueError
        If rows, names and chains do not fit together.
    """
    rows = np.asarray(draws, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ValueError(
            f"Expected rows of the {len(names)} columns {quoted(names)}; got an array of shape "
            f"{rows.shape}."
        )
    if n_chains < 1 or len(rows) % n_chains:
        raise ValueError(
            f"Expected chains of equal length; got {len(rows)} rows for n_chains={n_chains}."
        )
    chains = {}
    for variable, places in _by_variable(names).items():
        values = rows[:, list(places.values())]
        shape = _shape(variable, list(places))
        chains[variable] = values.reshape(n_chains, len(rows) // n_chains, *shape)
    return chains


def _variables(draws: Any, group: str) -> Mapping[str, Any]:
    """Return the variables of a mapping, a dataset, or a group of datasets."""
    # A `DataTree` is a mapping of its groups; its `data_vars` are those of no group.
    groups = getattr(draws, "children", None)
    if groups is None and callable(getattr(draws, "groups", None)):
        groups = {name: getattr(draws, name) for name in draws.groups()}
    if groups is not None and not len(getattr(draws, "data_vars", ())):
        if group not in groups:
            raise ValueError(f"Expected a group {group!r}; got {quoted(list(groups))}.")
        draws = groups[group]
    found = getattr(draws, "data_vars", draws)
    if not isinstance(found, Mapping):
        raise ValueError(
            "Expected draws as an InferenceData or DataTree of ArviZ, a Dataset of xarray, or a "
            f"mapping of variables to arrays (chains, draws, ...); got {type(draws).__name__}."
        )
    return found


def _entries(name: str, variable: Any) -> tuple[Float[np.ndarray, "chains draws n"], list[str]]:
    """Return a variable's entries and the names of their columns."""
    dims = getattr(variable, "dims", None)
    if dims is not None:
        if not {"chain", "draw"} <= set(dims):
            raise ValueError(
                f"Expected dimensions chain and draw of {name!r}; got {', '.join(map(str, dims))}."
            )
        variable = variable.transpose("chain", "draw", ...)
    values = np.asarray(variable)
    if values.ndim < 2 or 0 in values.shape:
        raise ValueError(
            f"Expected {name!r} as an array (chains, draws, ...); got one of shape {values.shape}."
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(f"Expected numbers in {name!r}; got {values.dtype}. Leave it out.")
    labels = _labels(variable, values.shape)
    names = [f"{name}[{', '.join(place)}]" if place else name for place in product(*labels)]
    return values.astype(np.float64).reshape(*values.shape[:2], -1), names


def _labels(variable: Any, shape: tuple[int, ...]) -> list[list[str]]:
    """Return what the places along every dimension of an entry are called; 0, 1, ... by default."""
    coords, dims = getattr(variable, "coords", {}), getattr(variable, "dims", ())
    labels = [[str(i) for i in range(length)] for length in shape[2:]]
    for k, dim in enumerate(dims[2:]):
        if dim in coords:
            labels[k] = [str(label) for label in np.asarray(coords[dim]).tolist()]
    return labels


def _by_variable(names: Sequence[str]) -> dict[str, dict[tuple[str, ...], int]]:
    """Return where the columns of every variable's entries stand, by their places."""
    found: dict[str, dict[tuple[str, ...], int]] = {}
    for j, name in enumerate(names):
        match = ENTRY.fullmatch(name)
        variable, place = (name, ()) if match is None else match.group("variable", "place")
        key = tuple(place.split(", ")) if isinstance(place, str) else place
        places = found.setdefault(variable, {})
        if key in places or len({len(other) for other in (key, *places)}) > 1:
            raise ValueError(f"Expected one column for each entry of {variable!r}; got {name!r}.")
        places[key] = j
    return found


def _shape(variable: str, places: list[tuple[str, ...]]) -> tuple[int, ...]:
    """Return the shape of a variable whose entries' places are given, the last running fastest."""
    labels = [list(dict.fromkeys(along)) for along in zip(*places, strict=True)]
    if places != list(product(*labels)):
        raise ValueError(
            f"Expected all entries of {variable!r}, the last place running fastest; got "
            f"{quoted([', '.join(place) for place in places])}."
        )
    return tuple(len(along) for along in labels)


def _arviz() -> Any:
    """Return ArviZ, or the part of it that makes its objects."""
    for name in ("arviz", "arviz_base"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError(
        "Expected ArviZ, which makes these objects; it is not installed. `pip install arviz`, or "
        "take brenier.to_chains, which returns arrays by variable."
    )
