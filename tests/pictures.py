"""What the tests of pictures share: axes to draw on, what was drawn, a flow that needs no fit."""

import dataclasses

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from scipy import stats


def table(X, names):
    return pl.DataFrame(X, schema=names)


def blank():
    """Return axes that pyplot does not know of."""
    return Figure(layout="constrained").add_subplot()


def labelled(ax, label):
    """Return the points, (M, 2), of the only line with this label."""
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return np.column_stack(found.get_data())


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@dataclasses.dataclass
class Scaled:
    """A stand-in for a flow of n columns, z = x / scale with NaN for x beyond 100."""

    n: int
    scale: float = 1.0

    def get_feature_names_out(self):
        return np.array([f"z{i}" for i in range(self.n)], dtype=object)

    def score_samples(self, X):
        return stats.norm(scale=self.scale).logpdf(X).sum(axis=1)

    def transform(self, X):
        return np.where((np.abs(X) > 100).any(axis=1, keepdims=True), np.nan, X / self.scale)

    def invert(self, Z):
        raise NotImplementedError

    def sample(self, n_samples, random_state):
        return self.scale * np.random.default_rng(random_state).normal(size=(n_samples, self.n))
