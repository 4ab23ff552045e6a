"""The recipe of a fit: from weighted rows to a flow, its Gaussian baseline and its report.

Equal rows are merged and put in an order of their own by the caller. A part of the rows is set
apart to judge what is returned. Another is held out: of few rows, and of a conditional density,
every potential holds out others. A lone row far off all others does neither. Bounds, whitening and
the scaling of a context bring the rows to standard coordinates, far rows nearer to all others, a
scale that depends on the context is removed, and a Gaussian is fitted to them there: the baseline,
which what is returned is never worse than. Where rows are few for their columns, parts of them that
are held out choose how the covariance is estimated, and potentials are of the leading directions.
Where the rows have fine structure, the optimizer sees copies of them with a little noise. The
weight decay, and whether there are radial units, are selected on held-out rows: of a few runs that
begin, the best after some iterations goes on. Beside it other potentials are trained, from other
initial weights with the same hyperparameters. A run is L-BFGS over the hidden weights, the last
layer solved for at each step, stopped early on held-out rows; on a long table it goes by
mini-batches in all weights, and the last layer is solved for at the best iterate. The model is the
average of these potentials where each holds out other rows; else their weighted sum with the
runner-up of the selection and the Gaussian's, the weights the best on held-out rows. Of several
maps, potentials are trained one by one, each where those before it lead, and then together; the
best of several such compositions is the model. A conditional density gets heavier tails where
held-out rows ask for them. Of very few rows, or few for their columns, the average is the model if
all rows together say that it is better than the Gaussian, and of fewer still it is the Gaussian.

All numbers are in `brenier.training.settings`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import Bounds
from brenier.data.rows import Split, WeightedRows
from brenier.data.split import Table, set_apart, split_rows
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import AbstractPreprocessing, ColumnBounds
from brenier.flow.tail import Tail
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.gaussian import AbstractGaussian
from brenier.program import check_process, is_one_of_several
from brenier.status import FitStatus
from brenier.training.build_report import Measured, build_report, measure, measure_as_seen
from brenier.training.candidate import Trained
from brenier.training.composition import train_composition
from brenier.training.covariance import AbstractCovariance, SampleCovariance, Transformed
from brenier.training.cross_fit import are_crossed, averaged, cross_fitted, crossed
from brenier.training.ensemble import average, train_potentials
from brenier.training.families import AbstractFamily
from brenier.training.far_rows import lone_rows
from brenier.training.folds import Fold, preprocessed
from brenier.training.leading import InDirections, Leading, standard_normal
from brenier.training.likelihood import gaussian_log_density, model_log_density
from brenier.training.phases import SUMMING, Listener
from brenier.training.report import FitReport
from brenier.training.session import Session
from brenier.training.settings import Settings
from brenier.training.tail import with_tail


@dataclass(frozen=True)
class Model:
    """What a fit gives.

    Attributes
    ----------
    flow : ConvexFlow
        The density.
    gaussian : AbstractGaussian
        The baseline, in the coordinates of the flow's potentials.
    report : FitReport
        How it went.
    """

    flow: ConvexFlow
    gaussian: AbstractGaussian
    report: FitReport


def fit(
    rows: WeightedRows,
    validation: WeightedRows | None,
    family: AbstractFamily,
    settings: Settings,
    *,
    bounds: Bounds,
    seed: int,
    discrete: Sequence[str] = (),
    callback: ProgressCallback | None = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> Model:
    """Return the density of weighted rows.

    Call it where float64 is enabled. A KeyboardInterrupt ends the training with the best model so
    far, and the report says so.

    Parameters
    ----------
    rows : WeightedRows
        Distinct rows in canonical order, data units.
    validation : WeightedRows or None
        Rows that choose; None: some of `rows`.
    family : AbstractFamily
        What kind of density.
    settings : Settings
        All numbers.
    bounds : Bounds
        Of the columns that the density is of.
    seed : int
        Of initial weights, noise and mini-batches.
    discrete : sequence of str
        Names of the columns whose values repeat: the report then claims no gain.
    callback : callable, optional
        Called with a `Progress` after every iterate of every run, one call at a time.
    listener : Listener, optional
        Told of phases.
    began : float, optional
        From when on seconds, and those of the limit, are counted, by `time.perf_counter`; None:
        from now on.
    """
    session = begin(settings, seed, callback, listener, began)
    potentials = train(rows, validation, family, settings, session, bounds=bounds)
    return concluded(potentials, session, discrete)


def concluded(potentials: "Potentials", session: Session, discrete: Sequence[str]) -> Model:
    """Return the flow of trained potentials, its tail and its report; the session ends."""
    flow, measured = _measured(potentials, session)
    report = potentials.report(flow, measured, session, discrete)
    session.phases.close()
    return Model(flow, potentials.whole.gaussian, report)


def begin(
    settings: Settings,
    seed: int,
    callback: ProgressCallback | None,
    listener: Listener | None,
    began: float | None,
) -> Session:
    """Return the session of a fit that begins now; parameters as of `fit`."""
    return Session.begin(
        settings.max_seconds,
        seed,
        callback,
        ending=settings.ending,
        listener=listener,
        began=began,
        in_order=settings.devices is not None and is_one_of_several(),
    )


@dataclass(frozen=True)
class Potentials:
    """What has been trained.

    Attributes
    ----------
    preprocessing : AbstractPreprocessing
        What comes before the potentials.
    kept : list of Trained
        What the flow's map is the average of.
    everyone : list of Trained
        Of every fold what was trained on it, as far as there was time.
    whole : Fold
        The one fold; of several, all rows, none held out.
    table : Table
        All rows, in data units.
    settings : Settings
        Of the fit, with what depends on the rows decided.
    baseline : str
        What the baseline is of rows that are few for their columns; nothing of others.
    seen : InDirections or None
        The same in leading directions, where potentials were fitted to such.
    """

    preprocessing: AbstractPreprocessing
    kept: list[Trained]
    everyone: list[Trained]
    whole: Fold
    table: Table
    settings: Settings
    baseline: str = ""
    seen: InDirections | None = None

    @cached_property
    def flow(self) -> ConvexFlow:
        """The flow, without a tail."""
        return ConvexFlow(self.preprocessing, average([trained.map for trained in self.kept]))

    @property
    def is_gaussian(self) -> bool:
        """Whether the flow is the Gaussian of all rows, in place of what the folds have learnt."""
        return self.kept[0].fold is self.whole and self.kept[0].chosen.is_gaussian

    @property
    def deciding(self) -> list[Trained]:
        """What was trained on folds that have held-out rows."""
        return [one for one in self.everyone if one.fold.data.heldout is not None]

    def heldout_log_density(
        self, one: Trained, tail: Tail | None = None
    ) -> Float[np.ndarray, " M"]:
        """Return log p of a fold's held-out rows, in data units, under what was trained on it."""
        rows = heldout_of(one.fold.data)
        if self.seen is not None:
            k = next(k for k, other in enumerate(self.everyone) if other is one)
            return self.seen.heldout_log_density(k, gaussian=self.is_gaussian)
        if self.is_gaussian and tail is None:
            return gaussian_log_density(one.fold.gaussian, self.preprocessing, rows.X)
        flow = ConvexFlow(self.preprocessing, one.map, tail)
        return model_log_density(flow, rows, one.fold.split, self.settings)

    def report(
        self, flow: ConvexFlow, measured: Measured, session: Session, discrete: Sequence[str]
    ) -> FitReport:
        """Return how it went, of a flow with its tail and how likely rows are."""
        of = self if self.seen is None else self.seen
        report = build_report(of.kept, of.everyone, of.whole, flow, measured, session, discrete)
        return replace(report, baseline=self.baseline)


def heldout_of(split: Split) -> WeightedRows:
    """Return held-out rows; there must be some."""
    if split.heldout is None:
        raise ValueError("Expected held-out rows; got none.")
    return split.heldout


def train(
    rows: WeightedRows,
    validation: WeightedRows | None,
    family: AbstractFamily,
    settings: Settings,
    session: Session,
    *,
    bounds: Bounds,
) -> Potentials:
    """Return trained potentials, before they become one flow; parameters as of `fit`."""
    check_process()
    lone = lone_rows(_bounded(bounds)(rows.X), rows.weights, settings.distances)
    share = settings.judge_share(rows.effective_size)
    table = set_apart(rows, share, settings.least_judged, lone)
    rows, settings = table.rows, _of_rows(settings, table.rows, own=validation is None)
    if session.is_late:
        settings = _hurried(settings)
    prepared = _prepared(rows, validation, family, settings, bounds, session.seed)
    family, whole = prepared.family, prepared.whole
    if prepared.leading is not None:
        settings = replace(settings, least_rise=settings.least_rise_leading)
    everyone = _train(prepared.folds, family, settings, session)
    kept = [trained for trained in everyone if not trained.cut_off_at_once] or everyone[:1]
    if len(prepared.folds) > 1:
        few = are_crossed(settings, rows.effective_size, few=prepared.are_few)
        together = cross_fitted if few else averaged
        kept = together(kept, whole, family, settings, session)
    if any(one.status is FitStatus.INTERRUPTED for one in everyone):
        session.interrupted.set()
    preprocessing, seen = prepared.preprocessing, None
    if prepared.leading is not None:
        seen = InDirections(prepared.leading, preprocessing, kept, everyone, whole)
        kept, everyone, whole = seen.lifted()
    baseline = prepared.baseline
    return Potentials(preprocessing, kept, everyone, whole, table, settings, baseline, seen)


@dataclass(frozen=True)
class _Prepared:
    """Rows in the potential's coordinates.

    Attributes
    ----------
    preprocessing : AbstractPreprocessing
        What brought them there.
    family : AbstractFamily
        What kind of density is fitted there.
    folds : list of Fold
        What is trained on.
    whole : Fold
        The one fold; of several, all rows together, for the baseline.
    are_few : bool
        Whether rows are few for their columns.
    baseline : str
        What the baseline is of such rows; nothing of others.
    leading : Leading or None
        The directions that potentials are of; None: all.
    """

    preprocessing: AbstractPreprocessing
    family: AbstractFamily
    folds: list[Fold]
    whole: Fold
    are_few: bool
    baseline: str = ""
    leading: Leading | None = None


def _prepared(
    rows: WeightedRows,
    validation: WeightedRows | None,
    family: AbstractFamily,
    settings: Settings,
    bounds: Bounds,
    seed: int,
) -> _Prepared:
    """Return the rows split and preprocessed; too few of them only for a Gaussian."""
    preprocessing, covariance = family.preprocessing(rows, bounds, settings)
    n, k = preprocessing.n, _n_directions(rows, preprocessing, covariance, settings)
    leading = None
    if isinstance(covariance, Transformed) and 0 < k < n:
        leading = Leading.of(covariance, k)
        family = family.along(leading.directions)
    are_few = not isinstance(covariance, SampleCovariance)
    splits = _splits(
        rows, validation, settings, bounds, regular=covariance.is_regular, are_few=are_few
    )
    if k == 0 and validation is None:
        splits = [Split(rows)]

    def fold_of(split: Split, turn: int, *, tried: bool) -> Fold:
        """Return a fold, on which only a Gaussian is fitted where nothing else is tried."""
        parts, candidates = preprocessed(preprocessing, split), None if tried else ()
        if leading is None:
            gaussian = family.gaussian(parts[0].train, settings, covariance)
        else:
            parts, gaussian = leading.along(*parts), standard_normal(k)
        return Fold.of(split, *parts, family, settings, seed + turn, candidates, gaussian)

    folds = [fold_of(split, turn, tried=k > 0) for turn, split in enumerate(splits)]
    whole = fold_of(Split(rows), 0, tried=False) if len(folds) > 1 else folds[0]
    told = _told(covariance, k, n)
    return _Prepared(preprocessing, family, folds, whole, are_few, told, leading)


def _n_directions(
    rows: WeightedRows,
    preprocessing: AbstractPreprocessing,
    covariance: AbstractCovariance,
    settings: Settings,
) -> int:
    """Return how many directions of the columns potentials are of; 0: none is fitted."""
    size, n = rows.effective_size, preprocessing.n
    enough = settings.are_enough(size, rows.X.shape[1])
    # Of rows whose own covariance is the best, all directions are learnt where rows are enough.
    all_of_them = enough and not covariance.is_regular and n <= settings.most_columns
    if isinstance(covariance, Transformed) and not all_of_them:
        return settings.n_directions(size, n, covariance.n_factors)
    return n if enough else 0


def _told(covariance: AbstractCovariance, k: int, n: int) -> str:
    """Return what is said of the baseline, and of potentials of leading directions."""
    words = [f"covariance {covariance.name}"] * covariance.is_regular
    words += [f"potentials of {k} leading direction{'s' * (k > 1)} of {n}"] * (0 < k < n)
    return "; ".join(words)


def _measured(potentials: Potentials, session: Session) -> tuple[ConvexFlow, Measured]:
    """Return the flow with its tail, and how likely rows are; without a tail for want of time."""
    flow, parts = potentials.flow, (potentials.kept, potentials.whole)
    table, settings = potentials.table, potentials.settings

    def finished() -> tuple[ConvexFlow, Measured]:
        with_its_tail = with_tail(flow, potentials.kept, settings)
        return with_its_tail, measure(*parts, with_its_tail, table, settings)

    session.phases.part("")
    session.phases.begin(SUMMING)
    results = session.results(finished, session.limits.report)
    if results:
        return results[0]
    return flow, measure_as_seen(*parts, flow.preprocessing, table, settings)


def _of_rows(settings: Settings, rows: WeightedRows, *, own: bool) -> Settings:
    """Return the settings with what depends on the number of rows decided.

    `own` says whether some of the rows themselves are held out.
    """
    n_potentials = settings.n_potentials(len(rows.X))
    settings = replace(settings, n_estimators=n_potentials, n_estimators_few=n_potentials)
    return crossed(settings, rows.effective_size) if own else settings


def _splits(
    rows: WeightedRows,
    validation: WeightedRows | None,
    settings: Settings,
    bounds: Bounds,
    *,
    regular: bool,
    are_few: bool,
) -> list[Split]:
    """Return one split, or one for every potential; of all rows together if none are held out.

    `regular` says whether any rows have a covariance with an inverse, `are_few` whether rows are
    few for their columns: then all of them decide together.
    """
    if validation is not None:
        return [Split(rows, validation)]
    share, columns = settings.heldout_share(rows.effective_size), _bounded(bounds)
    are_own = are_few or settings.splits_are_own(len(rows.X))
    n_splits = settings.n_estimators if are_own else 1
    lone = lone_rows(columns(rows.X), rows.weights, settings.distances)
    left = None if regular else columns
    splits = [split_rows(rows, share, left, turn=turn, lone=lone) for turn in range(n_splits)]
    return splits if all(split.heldout is not None for split in splits) else [Split(rows)]


def _hurried(settings: Settings) -> Settings:
    """Return what is to be done where the time is up before any run: next to nothing."""
    decay = settings.blind_decay
    return replace(settings, n_estimators=1, n_init=1, noise=0.0, decay=decay)


def _bounded(bounds: Bounds) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps rows to the density's own columns after their bounds' maps."""
    column_bounds, n = ColumnBounds(*bounds), len(bounds.low)
    return lambda X: column_bounds.columns(X[:, :n])


def _train(
    folds: list[Fold], family: AbstractFamily, settings: Settings, session: Session
) -> list[Trained]:
    """Return what was trained on every fold, as far as there was time."""
    if settings.n_maps > 1:
        return [train_composition(fold, family, settings, session) for fold in folds]
    if len(folds) > 1:
        settings = replace(settings, n_estimators=1)
    return train_potentials(folds, family, settings, session)
