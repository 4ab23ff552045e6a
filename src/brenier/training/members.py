"""Potentials that held out different rows, and the report of their average."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brenier.data.rows import Rows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ConditionalPreprocessing
from brenier.flow.tail import Tail
from brenier.potential.features import AbstractMap, AbstractPotential
from brenier.potential.merge import combine
from brenier.training.report import FitReport, MeanAndError
from brenier.training.run import OUT_OF_TIME
from brenier.training.training import TrainingResult
from brenier.training.units import Units, fit_report, gaussian_log_density


@dataclass(frozen=True)
class Member:
    """A potential, and the rows that it was trained on and stopped by."""

    result: TrainingResult[AbstractMap]
    units: Units
    training: Rows
    heldout: Rows | None

    def report(
        self, preprocessing: ConditionalPreprocessing, tail: Tail | None = None
    ) -> FitReport:
        """Return the report of this potential alone."""
        flow = ConvexFlow(preprocessing, self.result.map, tail)
        return fit_report(self.result, self.units, flow, self.heldout, len(self.training.X))


def average(members: list[Member]) -> AbstractMap:
    """Return the one map, or the gradient of the potentials' average."""
    maps = [member.result.map for member in members]
    if len(maps) == 1:
        return maps[0]
    potentials = [map_ for map_ in maps if isinstance(map_, AbstractPotential)]
    if len(potentials) < len(maps):
        raise TypeError("Expected potentials, which can be averaged; got compositions.")
    return combine(potentials, np.full(len(potentials), 1.0 / len(potentials)))


def with_a_search(members: list[Member]) -> list[Member]:
    """Return the members but those whose search time or a keyboard interrupt cut off at once."""
    found = [m for m in members if not (m.result.is_gaussian and m.result.status in OUT_OF_TIME)]
    return found or members[:1]


def average_report(
    members: list[Member],
    everyone: list[Member],
    preprocessing: ConditionalPreprocessing,
    flow: ConvexFlow,
    rows: Rows,
) -> FitReport:
    """Return the report of the average of potentials.

    Held-out log-likelihoods are those of each potential on the rows that it has not seen: of the
    average nothing is known on unseen rows but that it is, without a tail, no worse than their
    mean. `everyone` are the members and those that time left out.
    """
    reports = [member.report(preprocessing, flow.tail) for member in members]
    if len(members) == 1:
        return replace(
            reports[0],
            **_end(everyone, reports[0], preprocessing),
            train_log_likelihood=mean_log_density(flow, members[0].training),
        )
    best = int(np.argmax([report.train_log_likelihood for report in reports]))
    heldout = [member.heldout for member in members if member.heldout is not None]
    weights = np.concatenate([part.weights for part in heldout])
    model, gaussian = (
        np.concatenate(parts)
        for parts in zip(*(_on_heldout(m, preprocessing, flow.tail) for m in members), strict=True)
    )
    seconds = {part: sum(report.seconds[part] for report in reports) for part in reports[0].seconds}
    seconds["total"] = max(report.seconds["total"] for report in reports)
    return replace(
        reports[best],
        **_end(everyone, reports[best], preprocessing),
        is_gaussian=all(report.is_gaussian for report in reports),
        n_members=sum(report.n_members for report in reports),
        n_train=len(rows.X),
        n_heldout=len(weights),
        train_log_likelihood=mean_log_density(flow, rows),
        heldout_log_likelihood=MeanAndError.of(model, weights),
        heldout_gain=MeanAndError.of(model - gaussian, weights),
        gaussian_heldout_log_likelihood=float(np.average(gaussian, weights=weights)),
        n_evaluations=sum(report.n_evaluations for report in reports),
        inner_failures=sum(report.inner_failures for report in reports),
        run_decay=sum((report.run_decay for report in reports), ()),
        run_n_radial=sum((report.run_n_radial for report in reports), ()),
        run_log_likelihood=sum((report.run_log_likelihood for report in reports), ()),
        seconds=seconds,
    )


def _end(
    everyone: list[Member], best: FitReport, preprocessing: ConditionalPreprocessing
) -> dict[str, Any]:
    """Return how the fit as a whole ended: as its best search, unless it was cut off."""
    cut_off = [member for member in everyone if member.result.status in OUT_OF_TIME]
    ended = cut_off[0].report(preprocessing) if cut_off else best
    return {"status": ended.status, "message": ended.message}


def mean_log_density(flow: ConvexFlow, rows: Rows) -> float:
    """Return the weighted mean of log p on rows (nats)."""
    return float(np.average(in_batches(log_density, flow, rows.X), weights=rows.weights))


def _on_heldout(
    member: Member, preprocessing: ConditionalPreprocessing, tail: Tail | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return log p of a potential and of its Gaussian on the rows that it held out."""
    if member.heldout is None or member.units.heldout is None:
        return np.zeros(0), np.zeros(0)
    flow = ConvexFlow(preprocessing, member.result.map, tail)
    gaussian = gaussian_log_density(
        member.result.gaussian, member.units.heldout, np.asarray(member.units.heldout_log_det)
    )
    return in_batches(log_density, flow, member.heldout.X), gaussian
