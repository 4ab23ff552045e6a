"""brenier itself."""

from benchmarks.data import Split
from benchmarks.peers.protocol import Clock, Fitted
from brenier import ComposedConvexPotentialFlow, ConvexPotentialFlow


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
