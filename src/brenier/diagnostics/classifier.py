"""Whether a classifier can tell rows from draws of the model: a classifier two-sample test.

It learns from one half of rows and draws and is asked about the other; its statistic is the area
under the ROC curve there, whose null distribution random labels of that half give.

References
----------
.. [1] D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017: section 3, with
       the area under the curve in place of the accuracy.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from brenier.diagnostics.normality_panels import Family
from brenier.diagnostics.null_scale import LEVEL, standing
from brenier.diagnostics.panels import PermutationPanel

# Random labelings; trees and the fewest rows of their leaves.
N_LABELINGS, N_TREES, LEAF = 499, 200, 5


def areas_under_roc(
    scores: Float[np.ndarray, " K"], labels: Bool[np.ndarray, "P K"]
) -> Float[np.ndarray, " P"]:
    """Return the probability that a row has a larger score than a draw, ties counting half."""
    ranks = stats.rankdata(scores)
    N = int(labels[0].sum())
    return (labels @ ranks - N * (N + 1) / 2) / (N * (len(scores) - N))


def classifier_family(X: Float[np.ndarray, "K n"], n_rows: int, rng: np.random.Generator) -> Family:
    """Return the panel of a random forest that tells rows from draws.

    Parameters
    ----------
    X : (K, n)
        Rows and draws, the rows in front.
    n_rows : int
        How many are rows.
    rng : Generator
        Where random numbers come from.
    """
    # Here and not above: it takes a while, and no fit needs it.
    from sklearn.ensemble import RandomForestClassifier

    is_row = np.arange(len(X)) < n_rows
    order = np.concatenate([rng.permutation(np.flatnonzero(kind)) for kind in (is_row, ~is_row)])
    train, test = order[::2], order[1::2]
    forest = RandomForestClassifier(
        N_TREES,
        min_samples_leaf=LEAF,
        class_weight="balanced",
        random_state=int(rng.integers(1 << 31)),
    )
    scores = forest.fit(X[train], is_row[train]).predict_proba(X[test])[:, 1]
    own = is_row[test]
    labels = np.concatenate([own[None], rng.permuted(np.tile(own, (N_LABELINGS, 1)), axis=1)])
    areas = areas_under_roc(scores, labels)
    stand = standing(areas[0], areas[1:])
    usual = float(np.quantile(areas[1:], 1 - LEVEL))
    seen = (
        f"a row has a larger score than a draw in {areas[0]:.0%} of all pairs, of a right model in "
        f"less than {usual:.0%} in 95 % of tables"
    )
    can = "can" if stand.scaled > 1 else "cannot"
    panel = PermutationPanel(
        *("classifier", "A classifier of rows and draws", *stand.numbers),
        sentence=f"A random forest {can} tell rows from draws: {seen}.",
        null=areas[1:],
    )
    return Family((panel,), stand.null[:, None])
