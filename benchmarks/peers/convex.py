"""brenier itself."""

from typing import Any

import numpy as np
from examples.likelihood import posterior as draws_of_posterior

from benchmarks.data import Split
from benchmarks.peers.protocol import Clock, Fitted, Posterior, Simulations, draws_inside
from brenier import ConditionalConvexPotentialFlow, ConvexPotentialFlow


def brenier(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit with the defaults; the average that is returned exists only at the end."""
    return _fitted(ConvexPotentialFlow(random_state=seed), rows, clock)


def composed(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit a composition with the defaults; which start is the best is known only at the end."""
    return _fitted(ConvexPotentialFlow(n_maps=2, random_state=seed), rows, clock)


def _fitted(flow: ConvexPotentialFlow, rows: Split, clock: Clock) -> Fitted:
    valid = rows.valid if len(rows.valid) else None
    report = flow.fit(rows.train, validation_data=valid).report_
    chosen = {"decay": report.decay, "status": report.status.value}
    return Fitted(flow.score_samples, flow.sample, clock(), chosen)


def posterior(simulations: Simulations, seed: int, max_seconds: float | None = None) -> Posterior:
    """Fit theta given its data, with the defaults and the box."""
    flow = ConditionalConvexPotentialFlow(
        bounds=simulations.bounds, max_seconds=max_seconds, random_state=seed
    ).fit(simulations.data, simulations.theta)
    return Posterior(lambda x, N: flow.sample(x[None], N)[0], _chosen(flow, max_seconds))


def composed_posterior(
    simulations: Simulations, seed: int, max_seconds: float | None = None
) -> Posterior:
    """Fit a composition to theta given its data; draws outside of the box are made anew."""
    flow = ConditionalConvexPotentialFlow(n_maps=2, max_seconds=max_seconds, random_state=seed)
    return inside_posterior(flow, simulations, seed, max_seconds)


def inside_posterior(
    flow: Any,
    simulations: Simulations,
    seed: int,
    max_seconds: float | None,
) -> Posterior:
    """Fit theta given its data, without a box; draws outside of it are made anew."""
    flow.fit(simulations.data, simulations.theta)
    low, high = np.array(simulations.bounds).T
    # With the estimator's own seed every round of draws would be the same.
    generator = np.random.RandomState(seed)

    def draw(x: np.ndarray, N: int) -> np.ndarray:
        return draws_inside(
            lambda size: flow.sample(x[None], size, generator)[0],
            lambda theta: np.all((theta > low) & (theta < high), axis=1),
            N,
        )

    return Posterior(draw, _chosen(flow, max_seconds))


def likelihood(simulations: Simulations, seed: int, max_seconds: float | None = None) -> Posterior:
    """Fit the data given theta, with the defaults; draw by a sampler in the box."""
    return likelihood_of_parts(simulations._replace(n_independent=1), seed, max_seconds)


def likelihood_of_parts(
    simulations: Simulations, seed: int, max_seconds: float | None = None
) -> Posterior:
    """Fit one of the data's independent parts given theta; draw by a sampler in the box."""
    theta, data, bounds, parts = simulations
    flow = ConditionalConvexPotentialFlow(max_seconds=max_seconds, random_state=seed).fit(
        np.repeat(theta, parts, axis=0),
        _parts(data, parts),
        # Parts of one simulation are held out together.
        groups=None if parts == 1 else np.repeat(np.arange(len(theta)), parts),
    )
    generator = np.random.default_rng(seed)

    def draw(x: np.ndarray, N: int) -> np.ndarray:
        def log_likelihood(theta: np.ndarray) -> np.ndarray:
            alike = (np.tile(part, (len(theta), 1)) for part in _parts(x[None], parts))
            return sum((flow.score_samples(theta, X) for X in alike), np.zeros(len(theta)))

        return draws_of_posterior(log_likelihood, bounds, N, generator)

    return Posterior(draw, _chosen(flow, max_seconds))


def _parts(data: np.ndarray, number: int) -> np.ndarray:
    """Return the independent parts of data, (N, q), as rows, (N number, q / number)."""
    return data.reshape(len(data) * number, -1)


def _chosen(flow: Any, max_seconds: float | None) -> dict[str, Any]:
    report = flow.report_
    return {"decay": report.decay, "status": report.status.value, "max_seconds": max_seconds}
