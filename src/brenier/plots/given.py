"""A density given a context, as pictures ask for a flow: at the contexts of rows that are given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float


@runtime_checkable
class ConditionalFlow(Protocol):
    """What is asked of a fitted `brenier.ConditionalConvexPotentialFlow`."""

    def get_feature_names_out(self) -> np.ndarray:
        """Return the names of the columns of z."""
        ...

    def score_samples(self, X: Any, y: Any) -> Float[np.ndarray, " N"]:
        """Return log-densities of targets (nats)."""
        ...

    def transform(self, X: Any, y: Any) -> Float[np.ndarray, "N n"]:
        """Return the images z of targets."""
        ...

    def sample(self, X: Any, n_samples: Any, random_state: Any) -> Float[np.ndarray, "N k n"]:
        """Return new targets at each context."""
        ...


@dataclass(frozen=True)
class GivenContexts:
    """A conditional flow at some contexts; its rows are those of the context and of the targets.

    What it samples are targets at these contexts, so that beside the data they show whether the
    density follows the context.

    Attributes
    ----------
    flow : ConditionalFlow
        Fitted.
    context : (N, q)
        The contexts.
    names : q + n names
        Of the context's columns and of the targets.
    """

    flow: ConditionalFlow
    context: Float[np.ndarray, "N q"]
    names: Sequence[str]

    @property
    def feature_names_in_(self) -> Sequence[str]:
        """The names of the columns of a row."""
        return self.names

    def get_feature_names_out(self) -> np.ndarray:
        """Return the names of the columns of z."""
        return self.flow.get_feature_names_out()

    def transform(self, X: Any) -> Float[np.ndarray, "N n"]:
        """Return the images z of rows."""
        return self.flow.transform(*self._parts(X))

    def sample(self, n_samples: int, random_state: Any) -> Float[np.ndarray, "N d"]:
        """Return evenly chosen contexts, each with new targets."""
        chosen = np.linspace(0, len(self.context) - 1, n_samples).round().astype(int)
        X = self.context[chosen]
        Y = self.flow.sample(self._known(X), 1, random_state)[:, 0]
        return np.concatenate([X, Y], axis=1)

    def score_samples(self, X: Any) -> Float[np.ndarray, " N"]:
        """Return log-densities of the targets in rows (nats)."""
        return self.flow.score_samples(*self._parts(X))

    def _parts(self, X: Any) -> tuple[Any, pl.DataFrame]:
        """Return the contexts and the targets in rows."""
        rows, q = np.asarray(X, dtype=np.float64), self.context.shape[1]
        targets = pl.DataFrame(rows[:, q:].copy(), schema=list(self.names[q:]))
        return self._known(rows[:, :q].copy()), targets

    def _known(self, X: np.ndarray) -> Any:
        """Return contexts as the flow was given them, with names or without."""
        named = getattr(self.flow, "feature_names_in_", None) is not None
        return pl.DataFrame(X, schema=list(self.names[: X.shape[1]])) if named else X
