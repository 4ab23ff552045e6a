"""Checked rows as a user gave them: what a density is of, its context, and what is said of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import Bounds, check_inside
from brenier.data.folding import Folding
from brenier.data.rows import WeightedRows, canonical_rows
from brenier.data.sketch import Sketch, sketch_of
from brenier.data.weights import effective_size
from brenier.estimators.folded import PLAIN
from brenier.estimators.weights import chain_blocks


@dataclass(frozen=True)
class Observations:
    """Finite rows in data units, in the order given.

    Attributes
    ----------
    own : (N, n)
        The columns that the density is of.
    names : list of n str
        Their names.
    context : (N, q) or None
        Columns that it is conditional on, if it is.
    weights : (N,) or None
        Non-negative weights; None: all alike.
    groups : (N,) or None
        Labels of chains; None: the rows are independent.
    folding : Folding
        Of periodic and discrete columns.
    """

    own: Float[np.ndarray, "N n"]
    names: list[str]
    context: Float[np.ndarray, "N q"] | None = None
    weights: Float[np.ndarray, " N"] | None = None
    groups: Any = None
    folding: Folding = PLAIN

    @property
    def rows(self) -> Float[np.ndarray, "N d"]:
        """The density's own columns, and behind them those of a context."""
        if self.context is None:
            return self.own
        return np.concatenate([self.own, self.context], axis=1)

    def sketch(self, heldout: "Observations | None") -> Sketch | None:
        """Return a sketch of these rows, and of those held out beside them.

        None where all columns are discrete: new rows are then equal to old ones.
        """
        if len(self.folding.cells.columns) == len(self.names) and self.context is None:
            return None
        parts = [self.rows] if heldout is None else [self.rows, heldout.rows]
        return sketch_of(np.concatenate(parts))

    def distinct(self, bounds: Bounds, seed: int, what: str) -> WeightedRows:
        """Return the distinct rows as they are fitted, those of a context behind the own columns.

        Parameters
        ----------
        bounds : Bounds
            Of the density's own columns.
        seed : int
            Key of their order.
        what : str
            What to call the rows in an error, as in "training data".
        """
        check_inside(self.own, bounds, self.names, what)
        X = self.rows
        rows = canonical_rows(X, self.weights, seed, chain_blocks(self.groups, X))
        return rows if self.folding.is_plain else self._spread(rows)

    def _spread(self, rows: WeightedRows) -> WeightedRows:
        """Return plain rows in the place of the table's, together worth what these are."""
        X, weights, source = self.folding.spread(rows.X, rows.weights)
        spread = rows[source]._replace(X=X, weights=weights)
        return spread._replace(inefficiency=effective_size(weights) / rows.effective_size)
