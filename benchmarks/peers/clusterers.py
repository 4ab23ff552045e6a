"""scikit-learn's clusters, of rows with standardised columns."""

import warnings

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

COMPONENTS = range(1, 13)
LEAST_CLUSTER, NEIGHBOURS = 15, 3


def mixture(X: np.ndarray, seed: int) -> np.ndarray:
    """Return the most probable component, of as many as the BIC chooses."""
    Z = StandardScaler().fit_transform(X)
    models = [GaussianMixture(k, n_init=3, max_iter=1000, random_state=seed) for k in COMPONENTS]
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        best = min((model.fit(Z) for model in models), key=lambda model: model.bic(Z))
    return best.predict(Z)


def hdbscan(X: np.ndarray, seed: int) -> np.ndarray:
    """Return the cluster, nothing being random; the rows that it calls noise are one more."""
    model = HDBSCAN(min_cluster_size=LEAST_CLUSTER, min_samples=NEIGHBOURS, copy=True)
    return model.fit_predict(StandardScaler().fit_transform(X))
