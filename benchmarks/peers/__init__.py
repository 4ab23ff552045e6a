"""The density estimators that are compared, and how each of them is treated.

Every one gets the same rows to train on and to choose by, and the same cores. Their packages are
imported only where one is fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True)
class Peer:
    """A density estimator.

    Parameters
    ----------
    module, function : str
        Where its fit is, in `benchmarks.peers`.
    packages : tuple of str
        What it needs besides brenier.
    treatment : str
        How it is fitted, in words.
    """

    module: str
    function: str
    packages: tuple[str, ...]
    treatment: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed."""
        return tuple(name for name in self.packages if find_spec(name) is None)

    def load(self) -> Callable[..., Any]:
        """Return its fit; imports its packages.

        In `PEERS` a function of rows, seed and clock, for a posterior one of simulations and seed
        (`benchmarks.peers.protocol`); in `REGRESSORS` one of rows and split
        (`benchmarks.peers.regressors`); in `CLUSTERERS` one of rows and seed, which returns labels.
        """
        return getattr(import_module(f"benchmarks.peers.{self.module}"), self.function)


ZUKO = (
    "Adam with the learning rates 1e-3, 3e-3, 1e-2 one after the other, each dropped twice to a "
    "third after as many epochs without improvement as the patience says, from the best weights "
    "so far; the best by validation of all. Whitened rows, float32, one thread (the networks are "
    "too small for two)."
)

PEERS = {
    "brenier": Peer(
        "convex",
        "brenier",
        (),
        "`ConvexPotentialFlow(random_state=seed).fit(train, validation_data=valid)`: the defaults. "
        "Its model is an average that exists only at the end, so its seconds are those of the "
        "whole fit, compilation included.",
    ),
    "brenier-composed": Peer(
        "convex",
        "composed",
        (),
        "`ConvexPotentialFlow(n_maps=2, random_state=seed).fit(train, validation_data=valid)`: two "
        "maps, the defaults; seconds as above.",
    ),
    "brenier-mixture": Peer(
        "convex_mixture",
        "mixture",
        (),
        "`ConvexPotentialMixture(random_state=seed).fit(train, validation_data=valid)`: the "
        "defaults, the number of components too; seconds as above.",
    ),
    "brenier-auto": Peer(
        "convex_mixture",
        "auto",
        (),
        "`fit_auto(train, validation_data=valid, random_state=seed)`: a flow of one, two or three "
        "maps, or the mixture, as the validation rows choose; seconds as above.",
    ),
    "gaussian": Peer(
        "classical", "gaussian", (), "One Gaussian with the training rows' mean and covariance."
    ),
    "mixture": Peer(
        "classical",
        "mixture",
        (),
        "scikit-learn's `GaussianMixture`, full covariances, 3 starts each; the number of "
        "components by validation from 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, until three rungs "
        "in a row bring nothing. Whitened rows, one thread (the matrices are too small for two).",
    ),
    "kde": Peer(
        "classical",
        "kernel",
        (),
        "scikit-learn's `KernelDensity`, Gaussian kernel on whitened rows; the bandwidth by a "
        "one-dimensional search on the validation rows.",
    ),
    "zuko-nsf": Peer(
        "zuko_flows",
        "nsf",
        ("torch", "zuko"),
        "zuko's neural spline flow: autoregressive, 3 transforms of 8 bins, hidden layers 64, 64; "
        "batches of 256, patience 20. " + ZUKO,
    ),
    "zuko-maf": Peer(
        "zuko_flows",
        "maf",
        ("torch", "zuko"),
        "zuko's masked autoregressive flow: 5 transforms, hidden layers 64, 64; batches of 128, "
        "patience 30. " + ZUKO,
    ),
    "flowjax-nsf": Peer(
        "flowjax_flows",
        "nsf",
        ("flowjax",),
        "flowjax's masked autoregressive flow of rational quadratic splines: 3 layers of 8 knots, "
        "hidden layers 64, 64. Trained by its own `fit_to_data`: Adam, batches of 250, patience 20 "
        "epochs, the constant rates 1e-3, 3e-3, 1e-2 one after the other and the best of them by "
        "validation. Whitened rows, float32. The moment of the best model is estimated: its epoch, "
        "all epochs of a rate taken to be equally long.",
    ),
    "vine": Peer(
        "vines",
        "vine",
        ("pandas", "pyvinecopulib"),
        "pyvinecopulib's `VineDensity`: a vine of non-parametric pair copulas (local likelihood), "
        "kernel densities for the margins; on whitened rows or on rows as they are, whichever is "
        "better by validation. Two threads.",
    ),
}

# Densities of tables with few rows a column, beside the others.
WIDE = {
    "shrunk": Peer(
        "classical",
        "shrunk",
        (),
        "One Gaussian, the covariance of standardised rows shrunk by scikit-learn's `LedoitWolf`.",
    ),
    "factors": Peer(
        "classical",
        "factors",
        (),
        "scikit-learn's `FactorAnalysis` of standardised rows; the number of factors by validation "
        "from 1, 2, 4, 8, 16, 32, 64, as long as there are more columns.",
    ),
}

# Densities of a target given features.
REGRESSORS = {
    "brenier": Peer(
        "regressors",
        "brenier",
        (),
        "`ConditionalConvexPotentialFlow().fit(X, y)`: the defaults.",
    ),
    "ngboost": Peer(
        "regressors",
        "ngboost",
        ("ngboost",),
        "`NGBRegressor(random_state=split, verbose=False).fit(X, y)`: the defaults, 500 boosted "
        "trees for the mean and the logarithm of the standard deviation of a normal distribution.",
    ),
}

# Labels of rows, found without any.
CLUSTERERS = {
    "brenier-mixture": Peer(
        "convex_mixture",
        "labels",
        (),
        "`ConvexPotentialMixture(random_state=seed).fit(X).predict(X)`: the defaults.",
    ),
    "mixture": Peer(
        "clusterers",
        "mixture",
        (),
        "scikit-learn's `GaussianMixture`, full covariances, 3 starts each, 1 to 12 components by "
        "the BIC; standardised columns.",
    ),
    "hdbscan": Peer(
        "clusterers",
        "hdbscan",
        (),
        "scikit-learn's `HDBSCAN(min_cluster_size=15, min_samples=3)`, as in its comparison of "
        "clusterings; standardised columns; the rows that it calls noise are one more cluster.",
    ),
}
