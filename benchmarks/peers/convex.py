"""brenier itself."""

from benchmarks.data import Split
from benchmarks.peers.protocol import Clock, Fitted
from brenier import ConvexPotentialFlow


def brenier(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit with the defaults; the average that is returned exists only at the end."""
    flow = ConvexPotentialFlow(random_state=seed).fit(rows.train, validation_data=rows.valid)
    report = flow.report_
    return Fitted(
        flow.score_samples, clock(), {"decay": report.decay, "status": report.status.value}
    )
