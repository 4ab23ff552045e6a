"""The classifier two-sample test: whether a network can tell two samples apart.

The accuracy on held-out rows of a classifier that learns which of two equally large samples a row
is from: 0.5 where it cannot tell them apart, 1 where it always can.

References
----------
.. [1] D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-PaddedSample Tests", ICLR 2017,
       arXiv 1610.06545.
.. [2] J.-M. Lueckmann et al., "Benchmarking Simulation-Based Inference", AISTATS 2021,
       arXiv 2101.04653, and its code, sbibm/metrics/c2st.py, whose settings these are.
"""

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

FOLDS = 5
MAX_ITER = 10_000


def c2st(reference: np.ndarray, other: np.ndarray, seed: int = 1) -> float:
    """Return the mean accuracy over five folds of a network that tells two samples apart.

    Two hidden layers of 10 n units; rows are standardised by the reference's mean and deviation.

    Parameters
    ----------
    reference, other : (N, n)
        Two samples of the same size.
    seed : int
        Seed of the folds and of the networks.
    """
    if reference.shape != other.shape:
        raise ValueError(
            f"Expected two samples of one shape; got {reference.shape} and {other.shape}."
        )
    N, n = reference.shape
    rows = (np.concatenate([reference, other]) - reference.mean(axis=0)) / reference.std(axis=0)
    labels = np.repeat([0, 1], N)
    network = MLPClassifier((10 * n, 10 * n), max_iter=MAX_ITER, random_state=seed)
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    return float(cross_val_score(network, rows, labels, cv=folds, scoring="accuracy").mean())
