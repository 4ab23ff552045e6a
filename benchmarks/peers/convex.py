"""brenier itself."""

from benchmarks.data import Split
from benchmarks.peers.protocol import Clock, Fitted, Posterior, Simulations
from brenier import (
    ComposedConditionalConvexPotentialFlow,
    ComposedConvexPotentialFlow,
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
)


def brenier(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit with the defaults; the average that is returned exists only at the end."""
    return _fitted(ConvexPotentialFlow(random_state=seed), rows, clock)


def composed(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit a composition with the defaults; which start is the best is known only at the end."""
    return _fitted(ComposedConvexPotentialFlow(random_state=seed), rows, clock)


def _fitted(
    flow: ConvexPotentialFlow | ComposedConvexPotentialFlow, rows: Split, clock: Clock
) -> Fitted:
    report = flow.fit(rows.train, validation_data=rows.valid).report_
    return Fitted(
        flow.score_samples, clock(), {"decay": report.decay, "status": report.status.value}
    )


def posterior(simulations: Simulations, seed: int, max_seconds: float | None = None) -> Posterior:
    """Fit theta given its data, with the defaults and the box."""
    return _posterior(ConditionalConvexPotentialFlow, simulations, seed, max_seconds)


def composed_posterior(
    simulations: Simulations, seed: int, max_seconds: float | None = None
) -> Posterior:
    """Fit a composition to theta given its data, with the defaults and the box."""
    return _posterior(ComposedConditionalConvexPotentialFlow, simulations, seed, max_seconds)


def _posterior(
    kind: type[ConditionalConvexPotentialFlow],
    simulations: Simulations,
    seed: int,
    max_seconds: float | None,
) -> Posterior:
    flow = kind(bounds=simulations.bounds, max_seconds=max_seconds, random_state=seed)
    flow.fit(simulations.data, simulations.theta)
    report = flow.report_
    return Posterior(
        lambda x, N: flow.sample(x[None], N)[0],
        {"decay": report.decay, "status": report.status.value, "max_seconds": max_seconds},
    )
