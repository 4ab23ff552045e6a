"""What a picture asks of a fitted flow, and how rows and columns are checked."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float

from brenier.data.tables import check_kinds, frame_of, named, numbers
from brenier.data.tables import names_of as names_of_table


@runtime_checkable
class FittedFlow(Protocol):
    """What is asked of a fitted density, as `brenier.ConvexPotentialFlow`: its methods."""

    def get_feature_names_out(self) -> np.ndarray:
        """Return the names of the columns of z."""
        ...

    def score_samples(self, X: Any) -> Float[np.ndarray, " N"]:
        """Return log-densities (nats)."""
        ...

    def transform(self, X: Any) -> Float[np.ndarray, "N n"]:
        """Return the images z of rows."""
        ...

    def sample(self, n_samples: Any, random_state: Any) -> Float[np.ndarray, "N n"]:
        """Return new rows."""
        ...


@runtime_checkable
class InvertibleFlow(FittedFlow, Protocol):
    """What `plot_map` asks of a fitted `brenier.ConvexPotentialFlow`: the inverse map too."""

    def invert(self, Z: Any) -> tuple[Float[np.ndarray, "N n"], Any]:
        """Return the rows whose images are Z, and which of them were found."""
        ...


@runtime_checkable
class FittedMixture(FittedFlow, Protocol):
    """What tells connected pieces apart, as `brenier.ConvexPotentialMixture`."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the piece of every row, the heaviest being 0."""
        ...


def names_of(flow: FittedFlow) -> list[str]:
    """Return the names of the flow's columns; raises `NotFittedError` before `fit`."""
    n = len(flow.get_feature_names_out())
    return [str(name) for name in getattr(flow, "feature_names_in_", [f"x{i}" for i in range(n)])]


def counts_of(flow: FittedFlow) -> list[int]:
    """Return where the discrete columns of a flow stand; those of most have none."""
    folding = getattr(flow, "folding_", None)
    return [] if folding is None else folding.cells.columns.tolist()


def positions(
    names: list[str], columns: Sequence[str | int] | None, *, counts: Sequence[int]
) -> list[int]:
    """Return the positions of columns given by name or position; None is all of them."""
    given = list(range(len(names)) if columns is None else columns)
    unknown = [c for c in given if c not in names and c not in range(len(names))]
    if unknown:
        raise ValueError(
            f"Expected columns among {', '.join(map(repr, names))} or their positions, 0 to "
            f"{len(names) - 1}; got {unknown[0]!r}."
        )
    found = [int(c) if isinstance(c, Integral) else names.index(str(c)) for c in given]
    if len(found) not in counts or len(set(found)) < len(found):
        many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        raise ValueError(f"Expected {many} different column(s); got {given}.")
    return found


def checked_rows(flow: FittedFlow, X: Any) -> Float[np.ndarray, "N n"]:
    """Return the numbers of an array or table with the flow's columns.

    A flow that chooses columns, as one fitted with `columns=` does, finds them in larger tables.
    """
    names = names_of(flow)
    chooses = getattr(flow, "columns", None) is not None
    table = named(X, names) if chooses else X
    rows = _numbers(table)
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ValueError(f"Expected X of shape (N, {len(names)}); got {rows.shape}.")
    given = names_of_table(table) or names
    if given != names and getattr(flow, "feature_names_in_", None) is not None:
        raise ValueError(f"Expected X with the columns {names} in this order; got {given}.")
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(
            f"Expected finite numbers; got NaN or infinity in {bad.sum()} of {len(rows)} rows "
            f"(first: row {np.argmax(bad)}). Drop these rows or fill them in."
        )
    return rows


def _numbers(table: Any) -> Float[np.ndarray, "..."]:
    """Return an array or table as float64, missing values as NaN."""
    frame = frame_of(table)
    if frame is None:
        return np.asarray(table, dtype=np.float64)
    check_kinds(frame.columns, frame.names)
    return numbers(frame.columns, frame.names)


def log_density(flow: FittedFlow, rows: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
    """Return log-densities of rows of ours, under the names that the flow was fitted with."""
    return flow.score_samples(_as_fitted(flow, rows))


def pieces_of(flow: FittedMixture, rows: Float[np.ndarray, "N n"]) -> np.ndarray:
    """Return the connected piece that each of our rows is most likely of."""
    return flow.predict(_as_fitted(flow, rows))


def _as_fitted(flow: FittedFlow, rows: Float[np.ndarray, "N n"]) -> Any:
    """Return rows of ours under the names that the flow was fitted with, if there are any."""
    names = getattr(flow, "feature_names_in_", None)
    return rows if names is None else pl.DataFrame(rows, schema=[str(name) for name in names])


def distances(Z: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
    """Return |z|; rows without an image are infinitely far out."""
    norms = np.linalg.norm(Z, axis=1)
    return np.where(np.isnan(norms), np.inf, norms)
