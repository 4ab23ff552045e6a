"""brenier itself."""

from benchmarks.data import Split
from benchmarks.peers.protocol import Clock, Fitted, Posterior, Simulations
from brenier import ConditionalConvexPotentialFlow, ConvexPotentialFlow


def brenier(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit with the defaults; the average that is returned exists only at the end."""
    flow = ConvexPotentialFlow(random_state=seed).fit(rows.train, validation_data=rows.valid)
    report = flow.report_
    return Fitted(
        flow.score_samples, clock(), {"decay": report.decay, "status": report.status.value}
    )


def posterior(simulations: Simulations, seed: int, max_seconds: float | None = None) -> Posterior:
    """Fit theta given its data, with the defaults and the box."""
    flow = ConditionalConvexPotentialFlow(
        bounds=simulations.bounds, max_seconds=max_seconds, random_state=seed
    ).fit(simulations.data, simulations.theta)
    report = flow.report_
    return Posterior(
        lambda x, N: flow.sample(x[None], N)[0],
        {"decay": report.decay, "status": report.status.value, "max_seconds": max_seconds},
    )
