"""What every panel of a diagnosis shows: its statistic, a sentence, and the arrays of a picture.

All are plain records. A *curve* is the difference of two distribution functions; its band is
simultaneous: under a right model all curves of a panel stay within theirs in 95 % of all tables.
"""

from abc import ABC
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Curve:
    """The difference of a distribution function from what a right model has, with its band.

    Attributes
    ----------
    label : str
        Of what: a coordinate of z, |z|^2, a target.
    at : (G,)
        Probabilities, rising, without 0 and 1.
    difference : (G,)
        Share of rows at or below, minus `at`.
    low, high : (G,)
        The band of `difference`.
    score : float
        The largest pointwise tail probability as a normal's standard deviations.
    """

    label: str
    at: Float[np.ndarray, " G"]
    difference: Float[np.ndarray, " G"]
    low: Float[np.ndarray, " G"]
    high: Float[np.ndarray, " G"]
    score: float


@dataclass(frozen=True)
class AbstractPanel(ABC):
    """What all panels have.

    Attributes
    ----------
    name : str
        Short, of one word: "pit", "radius", "correlations", "context", "coverage", "energy",
        "classifier", "columns", "ranks", "intervals", "tarp".
    title : str
        A heading.
    statistic : float
        In the panel's own units.
    scaled : float
        The statistic on its null scale: 0 at the median of its null distribution, 1 at the 95 %
        quantile.
    p_value : float
        Of this panel alone, by simulation or permutation.
    sentence : str
        What is found, in plain words.
    """

    name: str
    title: str
    statistic: float
    scaled: float
    p_value: float
    sentence: str

    @property
    def is_suspicious(self) -> bool:
        """Whether the panel by itself would reject at the 5 % level."""
        return self.scaled > 1


@dataclass(frozen=True)
class CurvesPanel(AbstractPanel):
    """Differences of distribution functions, the worst first: PIT, radius, coverage, TARP.

    Attributes
    ----------
    curves : tuple of Curve
        At most five.
    n_curves : int
        How many there are, those left out included.
    x_label, y_label : str
        Labels of the axes.
    """

    curves: tuple[Curve, ...]
    n_curves: int
    x_label: str
    y_label: str


@dataclass(frozen=True)
class RanksPanel(AbstractPanel):
    """Ranks of every target among draws at its row: simulation-based calibration.

    Attributes
    ----------
    curves : tuple of Curve
        Of the ranks as shares, the worst target first; at most five.
    n_draws : int
        L: ranks are 0, ..., L.
    counts : (k, B)
        Rows whose rank is in each of B bins, for the targets of `curves`, in their order.
    low, high : (B,)
        Where 95 % of such counts lie if the model is right, bin by bin.
    """

    curves: tuple[Curve, ...]
    n_draws: int
    counts: Int[np.ndarray, "k B"]
    low: Float[np.ndarray, " B"]
    high: Float[np.ndarray, " B"]


@dataclass(frozen=True)
class CorrelationsPanel(AbstractPanel):
    """Correlations between the coordinates of z, and of their squares.

    Attributes
    ----------
    labels : tuple of n str
        Of the coordinates.
    z : (n, n)
        Correlations of z.
    mixed : (n, n)
        Of the row's z with the column's z^2; 0 on the diagonal.
    squares : (n, n)
        Of z^2.
    bounds : tuple of 3 float
        What the largest absolute one of each matrix, off the diagonal, stays below in 95 % of all
        tables.
    worst : tuple of 2 str
        The two whose correlation is furthest out, as in ("z0", "z1^2").
    """

    labels: tuple[str, ...]
    z: Float[np.ndarray, "n n"]
    mixed: Float[np.ndarray, "n n"]
    squares: Float[np.ndarray, "n n"]
    bounds: tuple[float, float, float]
    worst: tuple[str, str]


@dataclass(frozen=True)
class ContextPanel(AbstractPanel):
    """Correlations of z and z^2 with the context, which a right conditional model has none of.

    Attributes
    ----------
    labels : tuple of n str
        Coordinates of z.
    contexts : tuple of q str
        Columns of the context.
    z, squares : (n, q)
        Correlations of z, and of z^2, with normal scores of the context.
    bounds : tuple of 2 float
        What the largest absolute one of each stays below in 95 % of all tables.
    worst : tuple of 2 str
        The two whose correlation is furthest out.
    """

    labels: tuple[str, ...]
    contexts: tuple[str, ...]
    z: Float[np.ndarray, "n q"]
    squares: Float[np.ndarray, "n q"]
    bounds: tuple[float, float]
    worst: tuple[str, str]


@dataclass(frozen=True)
class PermutationPanel(AbstractPanel):
    """One number of rows against draws, and its values when their labels are exchanged.

    Attributes
    ----------
    null : (P,)
        The statistic's values under exchanges.
    """

    null: Float[np.ndarray, " P"]


@dataclass(frozen=True)
class Marginal:
    """One column of rows and of draws.

    Attributes
    ----------
    name : str
        The column's.
    distance : float
        Largest difference of the two distribution functions (Kolmogorov-Smirnov).
    scaled : float
        On the null scale of this column.
    edges : (B + 1,)
        Ends of bins, in data units.
    rows, draws : (B,)
        Shares of rows and of draws in every bin; what lies beyond the ends is in none.
    sentence : str
        In plain words.
    """

    name: str
    distance: float
    scaled: float
    edges: Float[np.ndarray, " E"]
    rows: Float[np.ndarray, " B"]
    draws: Float[np.ndarray, " B"]
    sentence: str


@dataclass(frozen=True)
class Pair:
    """Two columns of rows and of draws, in cells of a grid of their quantiles.

    Attributes
    ----------
    names : tuple of 2 str
        The columns'.
    distance : float
        Chi-squared distance of the shares in the cells.
    scaled : float
        On the null scale of this pair.
    x_edges, y_edges : (C + 1,)
        Ends of the cells, in data units; the outer ones are the least and largest values.
    rows, draws : (C, C)
        Shares of rows and of draws in the cells, x first.
    sentence : str
        In plain words.
    """

    names: tuple[str, str]
    distance: float
    scaled: float
    x_edges: Float[np.ndarray, " E"]
    y_edges: Float[np.ndarray, " E"]
    rows: Float[np.ndarray, "C C"]
    draws: Float[np.ndarray, "C C"]
    sentence: str


@dataclass(frozen=True)
class ColumnsPanel(AbstractPanel):
    """The columns, and the pairs of columns, that fit worst, the worst first.

    Attributes
    ----------
    marginals : tuple of Marginal
        At most five.
    pairs : tuple of Pair
        At most five; none of a single column.
    """

    marginals: tuple[Marginal, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class IntervalsPanel(AbstractPanel):
    """How often central intervals hold the target, by tenths of every column of the context.

    Attributes
    ----------
    targets : tuple of n str
        Names of the targets.
    contexts : tuple of q str
        Columns of the context.
    levels : (k,)
        What the intervals promise.
    edges : (q, T + 1)
        Ends of the tenths of every column of the context, in its units.
    counts : (q, T)
        Rows in every tenth; a column of few values has empty ones.
    coverage : (n, q, T, k)
        Shares of rows within; NaN of an empty tenth.
    low, high : (n, q, T, k)
        Where 95 % of such shares lie if the model is right, one by one.
    worst : tuple of 2 str
        The target and the column of the context that are furthest out.
    """

    targets: tuple[str, ...]
    contexts: tuple[str, ...]
    levels: Float[np.ndarray, " k"]
    edges: Float[np.ndarray, "q E"]
    counts: Int[np.ndarray, "q T"]
    coverage: Float[np.ndarray, "n q T k"]
    low: Float[np.ndarray, "n q T k"]
    high: Float[np.ndarray, "n q T k"]
    worst: tuple[str, str]
