"""Files that commands read and write: checks before the work, columns by name, weights."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brenier.cli.door import note
from brenier.data.names import default_names

if TYPE_CHECKING:
    import numpy as np

    from brenier.io.table import Table

STANDARD = "-"


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
    if any(source and target == Path(os.path.realpath(source)) for source in inputs):
        raise ValueError(
            f"Expected another file to write to than those to read; got {path} for both. Name "
            "another one with -o."
        )
    _check_folder(target.parent, path)


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
    """Return the name of the model of a data file: x.csv.gz gives x.brenier."""
    path = Path(data)
    if path.suffix.lower() == ".gz":
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
    from brenier.estimators import ConditionalConvexPotentialFlow

    return isinstance(flow, ConditionalConvexPotentialFlow)


def _names(flow: Any) -> list[str]:
    """Return the names of a model's columns, x0, x1, ... where it was fitted without."""
    names = stored_names(flow)
    return default_names(flow.n_features_in_) if names is None else names


def read_rows(path: str, names: Sequence[str], *, quiet: bool = False) -> "np.ndarray":
    """Return the rows of a data file with their columns in the order of `names`.

    Columns are put in order by name, which is said on standard error. Those of files without names,
    and of models without, are taken as they come.
    """
    from brenier.io.table import read_table

    return in_order(read_table(path), names, path, quiet=quiet)


def in_order(
    table: "Table", names: Sequence[str], path: str, *, quiet: bool = False
) -> "np.ndarray":
    """Return the values of a table with its columns in the order of `names`."""
    from brenier.io.table import Table, select_columns

    where = display_name(path)
    unnamed = list(names) == default_names(len(names))
    if unnamed and table.columns is not None and set(table.columns) != set(names):
        if not quiet:
            note(f"Note: the model's columns have no names: those of {where} are taken in order.")
        table = Table(None, table.values)
    ordered, moved = select_columns(table, names, where=where)
    if moved and not quiet:
        note(f"Note: the columns of {where} were put in the model's order: {', '.join(names)}.")
    return ordered.values


def with_names(values: "np.ndarray", names: Sequence[str] | None) -> Any:
    """Return the values as what the estimator takes: a table with names, or an array."""
    import polars as pl

    return values if names is None else pl.from_numpy(values, schema=list(names))


def split_column(
    table: "Table", column: str | None, path: str, what: str
) -> "tuple[Table, np.ndarray | None]":
    """Return the table without a column that is no variable, and that column.

    `what` is what it holds: weights, or chains.
    """
    from brenier.io.table import Table

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
    return Table(names, table.values[:, rest].copy()), table.values[:, j].copy()
