"""Files that commands read and write: checks before the work, columns by name, weights."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli.door import note
from brenier.cli.pieces import Pieces
from brenier.data.names import default_names

if TYPE_CHECKING:
    import numpy as np

    from brenier.cli.sharing import Sharing
    from brenier.io.table import Table

STANDARD = "-"
# Suffixes that say nothing of what is in a file.
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")


def check_output(path: str, *, inputs: Sequence[str | None]) -> None:
    """Raise `ValueError` if a file cannot be written there, or is one of those to read.

    Called before the work whose result goes there, so that this is not lost.
    """
    if path == STANDARD:
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ValueError(f"Expected a file to write to; got the folder {path}. Name a file in it.")
    if target.exists() and not target.is_file():
        raise ValueError(f"Expected a file to write to; got the device {path}.")
    sources = (one for path_ in inputs if path_ for one in _files(path_))
    if any(target == Path(os.path.realpath(source)) for source in sources):
        raise ValueError(
            f"Expected another file to write to than those to read; got {path} for both. Name "
            "another one with -o."
        )
    _check_folder(target.parent, path)


def _files(path: str) -> "Sequence[str | Path]":
    """Return the files that are read by the name of one, of a folder or of a pattern."""
    from brenier.io.folder import files_of

    return files_of(path) or [path]


def _check_folder(folder: Path, path: str) -> None:
    if not folder.is_dir():
        nearest = next(above for above in (folder, *folder.parents) if above.exists())
        got = "a file" if not nearest.is_dir() else "no folder"
        where = nearest if not nearest.is_dir() else folder
        raise ValueError(
            f"Expected a folder to write {path} in; got {got} at {where}. Make the folder, or name "
            "another place with -o."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(
            f"Expected a folder to write {path} in; got no permission to write in {folder}. Name "
            "another place with -o."
        )


def model_path(data: str) -> str:
    """Return the name of the model of a data file: x.csv.gz gives x.brenier, x/*.parquet too."""
    path = Path(data)
    while has_magic(path.name) and not path.exists():
        path = path.parent
    path = path if path.name else path.resolve()
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return path.with_suffix(".brenier").name


def display_name(path: str) -> str:
    """Return how messages name a file to read."""
    return "standard input" if path == STANDARD else path


def stored_names(flow: Any) -> list[str] | None:
    """Return the names of the columns a model was fitted to; None where they had none.

    Of a conditional model these are the context's.
    """
    names = getattr(flow, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def context_names(flow: Any) -> list[str]:
    """Return the names of the columns that a density is conditional on; none of most."""
    return _names(flow) if is_conditional(flow) else []


def density_names(flow: Any) -> list[str]:
    """Return the names of the columns that a model is a density of."""
    return [str(name) for name in flow.target_names_] if is_conditional(flow) else _names(flow)


def variable_names(flow: Any) -> list[str]:
    """Return the names of all columns of a model's rows: those it is conditional on come first."""
    return [*context_names(flow), *density_names(flow)]


def is_conditional(flow: Any) -> bool:
    """Whether a model is the density of some columns given others."""
    from brenier.estimators import (
        ConditionalConvexPotentialFlow,
        ConditionalConvexPotentialMixture,
    )

    return isinstance(flow, ConditionalConvexPotentialFlow | ConditionalConvexPotentialMixture)


def is_mixture(flow: Any) -> bool:
    """Whether a density is a mixture, which has no single map."""
    from brenier.estimators import ConditionalConvexPotentialMixture, ConvexPotentialMixture

    return isinstance(flow, ConvexPotentialMixture | ConditionalConvexPotentialMixture)


def _names(flow: Any) -> list[str]:
    """Return the names of a model's columns, x0, x1, ... where it was fitted without."""
    names = stored_names(flow)
    return default_names(flow.n_features_in_) if names is None else names


@dataclass(frozen=True)
class Reading:
    """How tables are read: which columns and rows, and whether what is noticed is said.

    Attributes
    ----------
    keep : tuple of str, or None
        Names and patterns of the columns that are read; None for all.
    drop : tuple of str
        Those of the columns that are left out.
    drop_missing : bool
        Whether rows with missing values are left out.
    drop_constant : bool
        Whether columns with one value in all rows are left out.
    quiet : bool
        Whether nothing is said.
    missing_ok : bool
        Whether missing values are left in their places.
    remedies : str
        Options that an error of missing values names.
    most_rows : int or None
        Of longer tables a sample of so many rows is kept; None: all rows are. Where pieces go on
        their way one by one, 0.
    sharing : Sharing or None
        How several processes read one table together, each its own rows.
    """

    keep: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    drop_missing: bool = False
    drop_constant: bool = False
    quiet: bool = False
    missing_ok: bool = False
    remedies: str = "--drop-missing"
    most_rows: int | None = None
    sharing: "Sharing | None" = None

    @staticmethod
    def of(
        columns: str | None,
        drop: str | None,
        *,
        drop_missing: bool,
        drop_constant: bool = False,
        quiet: bool = False,
        most_rows: int | None = None,
    ) -> "Reading":
        """Return what the options of a command say."""
        keep = None if columns is None else items(columns, "--columns")
        dropped = () if drop is None else items(drop, "--drop")
        return Reading(keep, dropped, drop_missing, drop_constant, quiet, most_rows=most_rows)

    def pieces(
        self,
        path: str,
        *,
        also: Sequence[str] = (),
        enough: Sequence[str] = (),
        own_weights: bool = False,
        own_chains: bool = False,
        allow_infinite: bool = False,
    ) -> Pieces:
        """Return the table in a file, in pieces where these can be read and it is long.

        Minus infinity may be the logarithm of a weight of zero: what is not finite is refused later
        then.
        """
        from brenier.io.table import Columns

        where = display_name(path)
        columns = Columns(self.keep, self.drop, tuple(also), tuple(enough), own_weights, own_chains)
        return Pieces(
            path,
            columns,
            where,
            check=None if allow_infinite else partial(self.check_finite, where=where),
            drop_missing=self.drop_missing,
            whole_up_to=self.most_rows,
            own=None if self.sharing is None else self.sharing.own_rows,
        )

    def check_finite(self, table: "Table", where: str) -> None:
        """Raise `TableError` where numbers are infinite, or missing though they may not be."""
        from brenier.io.table import check_finite

        check_finite(table, where, missing_ok=self.missing_ok, remedies=self.remedies)

    def say(self, paths: Sequence[str], notes: Sequence[str]) -> None:
        """Say in one line what was noticed of files."""
        if notes and not self.quiet:
            note(f"Note: {files_name(paths)}: {'; '.join(notes)}.")


def items(text: str, option: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise typer.BadParameter(
            f"expected names of different columns separated by commas for {option}; got {text!r}."
        )
    return names


def files_name(paths: Sequence[str]) -> str:
    """Return how messages name files that are read together."""
    first, more = display_name(paths[0]), len(paths) - 1
    return f"{first} and {more} more file{'s' * (more > 1)}" if more else first


def load_density(path: str) -> Any:
    """Return the density in a model file."""
    from brenier.estimators import ConvexPotentialRegressor, load

    model = load(path)
    if isinstance(model, ConvexPotentialRegressor):
        raise ValueError(
            f"Expected a density in {path}; got a ConvexPotentialRegressor. Use it from Python, or "
            "fit with --given."
        )
    return model


def enough_of(names: Sequence[str]) -> Sequence[str]:
    """Return which columns of a file are enough; none where a model's have no names: all are."""
    return () if list(names) == default_names(len(names)) else names


def in_order(
    table: "Table", names: Sequence[str], path: str, *, quiet: bool = False
) -> "np.ndarray":
    """Return the values of a table with its columns in the order of `names`."""
    from brenier.io.table import Table, select_columns

    where = display_name(path)
    unnamed = list(names) == default_names(len(names))
    if unnamed and table.columns is not None and not set(names) <= set(table.columns):
        if not quiet:
            note(f"Note: the model's columns have no names: those of {where} are taken in order.")
        table = Table(None, table.values)
    ordered, moved = select_columns(table, names, where=where)
    extra = [name for name in table.columns or () if name not in names]
    if extra and not quiet:
        note(f"Note: {where}: {', '.join(extra)} not needed and left out.")
    if moved and not quiet:
        note(f"Note: the columns of {where} were put in the model's order: {', '.join(names)}.")
    return ordered.values


def with_names(values: "np.ndarray", names: Sequence[str] | None) -> Any:
    """Return the values as what the estimator takes: a table with names, or an array."""
    import polars as pl

    return values if names is None else pl.from_numpy(values, schema=list(names))


def as_context(flow: Any, X: "np.ndarray") -> Any:
    """Return rows of a model's first columns, the context's if it has one, as its methods take."""
    return with_names(X, stored_names(flow))


def as_arguments(flow: Any, rows: "np.ndarray") -> tuple[Any, ...]:
    """Return rows of all columns as what the model's methods take: with a context, two."""
    n_context = len(context_names(flow))
    if not n_context:
        return (as_context(flow, rows),)
    X, Y = rows[:, :n_context].copy(), rows[:, n_context:].copy()
    return as_context(flow, X), with_names(Y, density_names(flow))


def split_column(
    table: "Table", column: str | None, path: str, what: str
) -> "tuple[Table, np.ndarray | None]":
    """Return the table without a column that is no variable, and that column.

    `what` is what it holds: weights, or chains.
    """
    if column is None:
        return table, None
    where = display_name(path)
    if table.columns is None:
        raise ValueError(
            f"Expected column names in {where} to find the {what} {column!r}; got an array "
            "without names. Give a CSV or Parquet file."
        )
    if column not in table.columns or len(table.columns) == 1:
        raise ValueError(
            f"Expected the {what} {column!r} to be one of several columns of {where}; got the "
            f"columns {', '.join(map(repr, table.columns))}."
        )
    j = table.columns.index(column)
    rest = [i for i in range(len(table.columns)) if i != j]
    names = tuple(table.columns[i] for i in rest)
    kept = replace(table, columns=names, values=table.values[:, rest].copy())
    return kept, table.values[:, j].copy()
