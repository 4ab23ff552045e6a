"""Which columns of a table are read: those asked for, less those that are no variables."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from brenier.io.base import SHOWN, Table, TableError, check_names, default_names, listed, unnamed
from brenier.patterns import matching, suggestion

# Names of a column that pandas made of an index.
INDEX_NAMES = re.compile(r"Unnamed: 0(\.\d+)*|__index_level_\d+__")
# A shorter column may count its rows by chance.
LEAST_COUNTED = 10


@dataclass(frozen=True)
class Columns:
    """The choice of a table's columns.

    A name stands for itself; in others `*` stands for any characters and `?` for one.

    Attributes
    ----------
    keep : tuple of str, or None
        Names and patterns of the variables; None for all.
    drop : tuple of str
        Names and patterns of what is left out.
    also : tuple of str
        Names that are read wherever they are, such as those of weights.
    enough : tuple of str
        Names that are all that is needed: other columns are left out.
    own_weights, own_chains : bool
        Whether the weights and the chains that a format has are returned with the table.
    """

    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    enough: tuple[str, ...] = ()
    own_weights: bool = True
    own_chains: bool = True


ALL = Columns()


@dataclass(frozen=True)
class Roles:
    """Columns of a format that are no variables, and what to say of the file."""

    weights: str | None = None
    chain: str | None = None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are no variables, in no order."""
        return (*(name for name in (self.weights, self.chain) if name is not None), *self.left_out)


@dataclass(frozen=True)
class Chosen:
    """The columns that are read: their places in the file, in its order, and their names."""

    places: tuple[int, ...]
    names: tuple[str, ...]
    weights: str | None
    chain: str | None
    notes: tuple[str, ...]


NO_ROLES = Roles()


def choose(names: Sequence[str], columns: Columns, where: str, roles: Roles = NO_ROLES) -> Chosen:
    """Return which of a file's columns are read.

    Raises
    ------
    TableError
        If a name or pattern fits none, if none is left, or if names that are read are empty or not
        unique.
    """
    called = [name or unnamed(j) for j, name in enumerate(names)]
    roles = _without(roles, (*_asked_for(called, columns, roles, where), *columns.enough))
    kept = _kept(called, columns, roles, where)
    own = [roles.weights] * columns.own_weights + [roles.chain] * columns.own_chains
    read = {*kept, *columns.also, *own}
    places = tuple(j for j, name in enumerate(called) if name in read)
    check_names([names[j] for j in places], where)
    weights = roles.weights if columns.own_weights else None
    chain = roles.chain if columns.own_chains else None
    notes = _notes(called, columns, roles, read)
    return Chosen(places, tuple(called[j] for j in places), weights, chain, notes)


def _asked_for(names: Sequence[str], columns: Columns, roles: Roles, where: str) -> tuple[str, ...]:
    """Return the columns asked for as variables: of a pattern, others than variables only alone."""
    if columns.keep is None:
        return ()
    asked = []
    for item in columns.keep:
        found = _matches(item, names, where, "--columns")
        asked += [name for name in found if name not in roles.names] or found
    return tuple(asked)


def _without(roles: Roles, asked: Iterable[str]) -> Roles:
    """Return the roles of the columns that are not asked for as variables."""
    asked = set(asked)
    return Roles(
        None if roles.weights in asked else roles.weights,
        None if roles.chain in asked else roles.chain,
        tuple(name for name in roles.left_out if name not in asked),
        roles.notes,
    )


def _kept(names: Sequence[str], columns: Columns, roles: Roles, where: str) -> list[str]:
    """Return the variables."""
    asked = _asked_for(names, columns, roles, where)
    dropped = set[str]()
    for item in columns.drop:
        dropped |= set(_matches(item, names, where, "--drop", may_fail=bool(columns.enough)))
    kept = [name for name in names if name in asked or columns.keep is None]
    kept = [name for name in kept if name not in dropped and name not in roles.names]
    if columns.enough:
        kept = _needed(names, kept, columns, where)
    if not kept:
        raise TableError(
            f"Expected a column of {where} to be left; got all of them left out: "
            f"{listed(names)}. Choose others with --columns."
        )
    return kept


def _needed(names: Sequence[str], kept: list[str], columns: Columns, where: str) -> list[str]:
    missing = [name for name in columns.enough if name not in names]
    if missing:
        extra = [name for name in kept if name not in (*columns.enough, *columns.also)]
        raise TableError(selection_message(missing, extra, columns.enough, where))
    return [name for name in names if name in columns.enough]


def selection_message(
    missing: Sequence[str], extra: Sequence[str], wanted: Sequence[str], where: str
) -> str:
    """Return what to say of columns that are wanted and not there."""
    got = [f"no {listed(missing)}"] + [f"also {listed(extra)}"] * bool(extra)
    return (
        f"Expected the columns {listed(wanted)} in {where}; got {' and '.join(got)}. In that "
        "file, add or rename what is missing; the order is free."
    )


def _matches(
    item: str, names: Sequence[str], where: str, option: str, *, may_fail: bool = False
) -> list[str]:
    """Return the names that an item is, or else fits as a pattern."""
    found = [names[j] for j in matching(item, names)]
    if found or may_fail:
        return found
    hint = suggestion(item, names) or " A * stands for any characters."
    raise TableError(
        f"Expected {option} to name columns of {where}; got {item!r}, which is none of "
        f"{listed(names)}.{hint}"
    )


def _notes(
    names: Sequence[str], columns: Columns, roles: Roles, read: set[str | None]
) -> tuple[str, ...]:
    """Return what is said of the columns that are not read, and of those that are no variables."""
    unread = [name for name in names if name not in read and name not in columns.drop]
    unused = [name for name in unread if name in roles.names]
    more = [name for name in unread if name not in roles.names]
    notes = [*roles.notes]
    notes += [f"{shown(unused)} left out"] if unused else []
    notes += [f"{shown(more)} not needed and left out"] if more and columns.enough else []
    for role, use, own in (
        (roles.weights, "weights", columns.own_weights),
        (roles.chain, "chains", columns.own_chains),
    ):
        notes += [f"column {role} used as {use}"] * (own and role is not None)
    return tuple(notes)


def shown(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = [f"{len(names) - SHOWN} more"] * (len(names) > SHOWN)
    parts = [*names[:SHOWN], *more]
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]


def index_notes(names: Sequence[str], values: np.ndarray, columns: Columns) -> list[str]:
    """Return what is said of columns that number the rows and were not asked for by name."""
    named = {*(columns.keep or ()), *columns.enough, *columns.also}
    return [
        f"column {name} numbers the rows: leave it out with --drop {shlex.quote(name)}"
        for j, name in enumerate(names)
        if name not in named and (INDEX_NAMES.fullmatch(name) or counts(values[:, j]))
    ]


def counts(column: np.ndarray) -> bool:
    """Whether the values of a column count up by one from row to row."""
    if len(column) < LEAST_COUNTED or column[-1] - column[0] != len(column) - 1:
        return False
    return bool(np.all(np.diff(column) == 1) and column[0] == np.floor(column[0]))


def chosen_of_unnamed(n: int, columns: Columns, where: str) -> Chosen | None:
    """Return the choice among n columns without names, called x0, x1, ...; None for all."""
    if columns.keep is None and not columns.drop:
        return None
    return choose(default_names(n), columns, where)


def as_table(
    chosen: Chosen,
    values: np.ndarray,
    columns: Columns,
    where: str,
    notes: Sequence[str] = (),
) -> Table:
    """Return the values of the chosen columns as a table, weights and chains apart.

    Parameters
    ----------
    chosen : Chosen
        The k columns.
    values : (N, k) array
        Their values.
    columns : Columns
        The choice that was asked for.
    where : str
        How messages name the table.
    notes : sequence of str
        What else is said of it.
    """
    own = [name for name in (chosen.weights, chosen.chain) if name is not None]
    rest = [j for j, name in enumerate(chosen.names) if name not in own]
    if not rest:
        raise TableError(f"Expected a variable in {where}; got none. Choose one with --columns.")

    def column(name: str | None) -> np.ndarray | None:
        return None if name is None else values[:, chosen.names.index(name)].copy()

    names = tuple(chosen.names[j] for j in rest)
    variables = np.ascontiguousarray(values[:, rest]) if own else values
    said = (*notes, *chosen.notes, *index_notes(names, variables, columns))
    return Table(names, variables, column(chosen.weights), column(chosen.chain), said)
