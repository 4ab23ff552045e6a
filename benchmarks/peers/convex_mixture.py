"""brenier's mixtures, and its choice, apart from its flows: older versions have none."""

import numpy as np

from benchmarks.data import Split
from benchmarks.peers.convex import inside_posterior
from benchmarks.peers.protocol import Clock, Fitted, Posterior, Simulations
from brenier import ConditionalConvexPotentialMixture, ConvexPotentialMixture, fit_auto


def mixture(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit with the defaults; how many components are the best is known only at the end."""
    valid = rows.valid if len(rows.valid) else None
    model = ConvexPotentialMixture(random_state=seed).fit(rows.train, validation_data=valid)
    of_flow = sum(one.weight for one in model.components_ if one.flow is not None)
    chosen = {"components": len(model.weights_), "weight of the flow": round(of_flow, 3)}
    return Fitted(model.score_samples, model.sample, clock(), chosen)


def auto(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit what the validation rows choose; what that is is known only at the end."""
    valid = rows.valid if len(rows.valid) else None
    model = fit_auto(rows.train, validation_data=valid, random_state=seed)
    chosen = {"kind": type(model).__name__, "maps": model.report_.n_maps}
    return Fitted(model.score_samples, model.sample, clock(), chosen)


def mixture_posterior(
    simulations: Simulations, seed: int, max_seconds: float | None = None
) -> Posterior:
    """Fit a mixture with a composition of two maps to theta given its data."""
    mixture = ConditionalConvexPotentialMixture(
        n_maps=2, max_seconds=max_seconds, random_state=seed
    )
    return inside_posterior(mixture, simulations, seed, max_seconds)


def labels(X: np.ndarray, seed: int) -> np.ndarray:
    """Return the most probable component of every row, of a fit with the defaults."""
    return ConvexPotentialMixture(random_state=seed).fit(X).predict(X)
