"""Every number of the recipe of a fit, in one place.

`Settings` holds them, one documented field each: what it does, its default, and the trial in
`benchmarks/NOTES.md` that it came from, or "not tried". `default_settings` gives the defaults of
each kind of density; the page "What the default fit does" of the documentation is made of them.
Numbers of the solvers (steps, tolerances, line searches) stand beside their formulas, in
`brenier.inner`, `brenier.optimizers`, `brenier.varpro.mini_batches` and `brenier.flow.inverse`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import prod, sqrt
from types import MappingProxyType
from typing import Any

from brenier.flow.context import Bending
from brenier.inner.barrier import Barrier
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import AbstractInnerSolver
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.early_stopping import StoppingCriteria
from brenier.optimizers.named import OPTIMIZERS
from brenier.potential.activations import ACTIVATIONS, AbstractActivation
from brenier.potential.initialise import ContextStart
from brenier.potential.nonnegativity import NONNEGATIVITY, AbstractNonnegativity
from brenier.training.algorithm import AUTO, Algorithm
from brenier.training.far_rows import Distances

NOT_TRIED = "not tried"
KINDS = ("joint", "composed", "conditional", "composed_conditional")
"""Kinds of densities that differ in their defaults; of the first are the fields' own."""
INNER_SOLVERS: Mapping[str, Callable[..., AbstractInnerSolver]] = MappingProxyType(
    {"primal-dual": PrimalDual, "barrier": Barrier}
)
"""name -> solver of the convex problem in w."""
ON_SHORT_TABLES, ON_LONG_TABLES = "lbfgs-varpro", "schedule-free-adam"
"""What "auto" stands for."""


@dataclass(frozen=True)
class Hyperparameters:
    """What the held-out rows choose between.

    Attributes
    ----------
    decay : float
        Weight of half the squared slopes (`AbstractTrained.decayed`), nats.
    n_radial : int
        Radial units beside the network.
    """

    decay: float
    n_radial: int


def _number(default: Any, what: str, trial: str = NOT_TRIED, **of_kinds: Any) -> Any:
    """Return a field of `Settings`: its default, what it does, its trial, other kinds' defaults."""
    return field(default=default, metadata={"what": what, "trial": trial, **of_kinds})


@dataclass(frozen=True)
class Settings:
    """All numbers of a fit. `describe` tells what each of them does."""

    # The model.
    n_maps: int = _number(
        1, "maps that are composed", "Compositions", composed=2, composed_conditional=2
    )
    widths: tuple[int, ...] = _number(
        (16, 16, 16, 16),
        "widths of the layers that are convex in the targets",
        "Width, depth, final tau",
        composed=(16, 16),
        conditional=(16, 16),
        composed_conditional=(16, 16),
    )
    context_widths: tuple[int, ...] = _number(
        (16, 16),
        "widths of the layers that see the context alone",
        "Compositions of conditional potentials",
        composed_conditional=(8, 8),
    )
    n_gates: int = _number(
        4,
        "quadratic terms along each axis whose weight depends on the context",
        "Densities given a context",
        composed_conditional=0,
    )
    n_radial: int = _number(
        8, "radial units beside the network", "Radial units", conditional=0, composed_conditional=0
    )
    whiten: str = _number("full", "what is removed from the rows first")
    covariance_rows: float = _number(
        20.0,
        "independent rows of each column below which held-out rows choose how the covariance is "
        "estimated, ...",
        "Few rows a column",
    )
    covariance_parts: int = _number(
        5, "... each of so many parts of the rows in turn, ...", "Few rows a column"
    )
    shrinkages: tuple[float, ...] = _number(
        (1.0, 0.25), "... the shares of Ledoit and Wolf's shrinkage tried, ...", "Few rows a column"
    )
    factor_counts: tuple[int, ...] = _number(
        (1, 2, 4, 8, 16, 32),
        "... the numbers of factors, until one is worse, ...",
        "Few rows a column",
    )
    units_lead: float = _number(
        5.0,
        "... and the lead (nats a row) of shrinkage in the columns' own units over all others",
        "Few rows a column",
    )
    direction_columns: int = _number(
        20,
        "columns from which on potentials are of leading directions where rows are few, ...",
        "Few rows a column",
    )
    direction_rows: float = _number(
        10.0, "... with so many independent rows for each, and one more, ...", "Few rows a column"
    )
    most_directions: int = _number(
        64, "... and no more of them than time allows, ...", "Few rows a column"
    )
    most_columns: int = _number(
        128,
        "... nor of all directions of more columns, however many rows there are; of these no row "
        "is far, and any may choose and judge",
        "Many columns",
    )
    w_min: float = _number(
        1e-2,
        "lower bound of the quadratic weights, relative to the Gaussian's own; of a composition, "
        "to what they are where that is less",
    )
    tau: float = _number(1e-5, "final barrier weight (nats)", "Width, depth, final tau")
    ridge: float = _number(
        1e-8,
        "ridge on the network's last weights (nats per squared standard deviation of z that a "
        "feature can add)",
        "Ablation",
    )
    algorithm: Algorithm = _number(
        Algorithm(), "what the thesis's reproduction changes and users leave alone", "Optimisers"
    )

    # Rows that are held out, and rows that are used.
    validation_fraction: float = _number(0.1, "share of the rows that is held out")
    judge_fraction: float = _number(
        0.05, "share of the rows that is set apart to judge what is returned, no more", "Judge rows"
    )
    least_apart: int = _number(
        100,
        "rows that are held out, and rows that judge, where these shares would be fewer, ...",
        "Judge rows",
    )
    most_heldout: float = _number(0.25, "... up to this share of the rows held out, ...")
    most_judge: float = _number(0.1, "... and up to this share that judges", "Judge rows")
    least_judged: int = _number(
        300, "independent rows of a table below which none judge", "Judge rows"
    )
    own_splits: bool = _number(
        default=False,
        what="whether every potential holds out other rows, so that their average has seen all, "
        "where rows are more than few",
        trial="Own splits",
        conditional=True,
        composed_conditional=True,
    )
    whole_rows: int = _number(
        8192,
        "rows up to which every evaluation of the search sees all; of more, it goes by "
        "mini-batches. So many decide the weights of the sum and the noise's bandwidth, at most",
        "Long tables",
    )
    most_rows: int = _number(
        32768,
        "rows that w is then solved for on, and held-out rows that a run looks at, at most",
        "Long tables",
    )

    # Far rows and far values.
    far_distance: float = _number(
        10.0, "robust standard deviations beyond which a row is far", "Far rows"
    )
    far_shares: tuple[float, float] = _number(
        (0.003, 0.03),
        "least and largest share of far rows that look like tails of a power, which are brought "
        "nearer; fewer are those of a curved density, more its structure",
        "Far rows",
    )
    least_far: int = _number(3, "far rows that make a share", "Far rows")
    far_alone: float = _number(
        25.0,
        "robust standard deviations of a row from which on one is enough, whatever the share",
        "Far rows",
    )
    far_neighbours: int = _number(
        32, "rows of like context that a far row of a density given one is measured by", "Far rows"
    )
    far_value: float = _number(
        6.0,
        "robust standard deviations beyond which a value of a context bends its column",
        "Contexts with far values",
    )
    context_quantiles: int = _number(
        128, "quantiles that such a column's ranks are read off", "Contexts with far values"
    )
    least_distinct: int = _number(
        64, "distinct values below which it has no ranks", "Contexts with far values"
    )

    # A scale that depends on the context.
    spread_rows: int = _number(
        8192,
        "rows that a scale which depends on the context is fitted to, and judged by, at most",
        "Scale given a context",
    )
    spread_variation: float = _number(
        0.5,
        "standard deviation of its logarithm, over rows, up to which it is the network's",
        "Scale given a context",
    )
    spread_sizes: tuple[int, ...] = _number(
        (1, 2, 4, 8, 16),
        "components of the mixtures that a normal density with it must lead, ...",
        "Scale given a context",
    )
    spread_lead: float = _number(
        3.0, "... by so many standard errors, ...", "Scale given a context"
    )
    spread_most_lead: float = _number(
        3.0, "... of no more than so many nats a row", "Scale given a context"
    )

    # Noise regularisation.
    noise: float | None = _number(
        None,
        "noise on copies of the rows, in standard deviations of the data; None: the bandwidth of "
        "the best kernel density",
        "Noise",
        conditional=0.0,
        composed_conditional=0.0,
    )
    noise_copies: int = _number(4, "copies of every row", "Noise")
    noise_max_bandwidth: float = _number(0.2, "best bandwidth above which there is none", "Noise")
    noise_max_rows: int = _number(16384, "rows with all copies, at most")
    noise_bandwidths: tuple[float, float, int] = _number(
        (0.01, 0.6, 20), "least and largest bandwidth tried, and how many, evenly in the logarithm"
    )
    noise_judges: int = _number(512, "rows whose leave-one-out densities are compared, at most")

    # Initial weights.
    kink_spread: tuple[float, float] = _number(
        (0.5, 3.0),
        "standard deviations of pre-activations, between which they are drawn",
        "Radial units",
    )
    radial_noise: float = _number(
        0.1,
        "how far radial units' matrices are from multiples of the identity, entry by entry",
        "Ablation",
    )
    context_spread: tuple[float, float] = _number(
        (0.5, 2.0), "the same of context features and of gates", "Ablation"
    )
    context_noise: float = _number(
        0.1, "weights by which biases and gates depend on context features", "Ablation"
    )
    shift_ridge: float = _number(
        1e-2, "ridge of the first shift of the targets by the context", "Ablation"
    )
    cold_weight: float = _number(
        0.1,
        "weight of all network features together, and of every gated quadratic, where w is first "
        "solved for",
        "Ablation",
    )

    # The Gaussian baseline.
    regression_ridge: float = _number(1e-8, "ridge of the baseline's linear regression")
    least_sd: float = _number(
        1e-6,
        "least standard deviation of its residuals, and of those that kinks given a context are "
        "placed among",
        "Ablation",
    )

    # Selection of the hyperparameters.
    decay: float | None = _number(
        None, "weight decay; None: selected on held-out rows", "Weight decay"
    )
    decays: tuple[float, ...] = _number(
        (1e-5, 1e-4, 1e-2),
        "weight decays tried (nats per squared weight), the least without radial units; the "
        "geometric mean of the two largest where no rows are held out",
        "Weight decay",
        conditional=(1e-2, 1e-1),
        composed_conditional=(1e-3, 1e-2, 1e-1),
    )
    rung: int = _number(
        50,
        "iterations after which the best of the candidates goes on and the others end; also those "
        "of a composition's potentials one by one",
        "Ablation",
    )

    # Runs.
    max_iter: int = _number(1000, "most iterations of a run")
    tol: float = _number(1e-5, "gradient (nats) at which a run has converged")
    n_iter_no_change: int = _number(
        25,
        "a run stops once the held-out loss has not improved for this many iterations, ...",
        "Fewer iterations",
        composed=50,
        composed_conditional=50,
    )
    patience_share: float = _number(
        0.25, "... and for this share of those done", "Fewer iterations"
    )
    least_rise: float = _number(
        0.0,
        "a run stops once the held-out loss has fallen in so many iterations by less than this "
        "share of what it fell in all, ...",
        "Few rows a column",
    )
    least_rise_leading: float = _number(
        0.01, "... and this share where potentials are of leading directions", "Few rows a column"
    )
    devices: int | None = _number(
        None, "devices that rows are shared over; None: all are on the one that JAX takes by itself"
    )
    max_seconds: float | None = _number(None, "wall time of the fit; None: no limit")
    ending_share: float = _number(
        0.1, "share of that wall time that is kept for what follows the runs, ..."
    )
    ending_seconds: float = _number(60.0, "... but no more than so many seconds")
    as_seen_groups: int = _number(
        32, "groups of held-out rows for a standard error when there is no time to look at each row"
    )

    # The ensemble.
    n_init: int = _number(
        1,
        "initial weights tried for each potential, or composition",
        "Compositions",
        composed=3,
        composed_conditional=4,
    )
    n_estimators: int = _number(
        3,
        "potentials in the weighted sum; of three or more on one split, one is the runner-up of "
        "the selection",
        "Averaging",
        composed=1,
        composed_conditional=1,
    )
    cross_rows: int = _number(
        300,
        "independent rows up to which all of them decide between the potentials' average and the "
        "Gaussian",
        "Few rows",
        conditional=100,
        composed_conditional=0,
    )
    cross_noise_rows: int = _number(1024, "rows with all noisy copies there, at least", "Few rows")
    cross_lead: float = _number(
        3.0, "standard errors by which the average must lead there", "Few rows"
    )
    least_rows: int = _number(
        30, "independent rows of a table below which nothing but a Gaussian is fitted", "Few rows"
    )
    least_rows_a_column: int = _number(
        5,
        "the same of each column, and one column more, where potentials are of all directions",
        "Few rows",
    )
    n_estimators_few: int = _number(
        4,
        "the same of few rows, each of which holds out others",
        "Own splits",
        composed=1,
        conditional=6,
        composed_conditional=1,
    )
    few_rows: int = _number(2000, "rows up to which they are few")
    negligible_weight: float = _number(
        1e-3, "weight in the sum below which a potential is left out"
    )

    # Mixtures.
    mixture_sizes: tuple[int, ...] = _number(
        (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64),
        "components of the Gaussian mixtures beside a flow",
        "Mixtures",
    )
    mixture_starts: int = _number(
        3, "mixtures of each size where all have the same held-out rows", "Mixtures"
    )
    mixture_starts_few: int = _number(
        2, "the same for each of several splits, of few rows", "Mixtures"
    )
    mixture_rows: float = _number(
        1.0,
        "rows of a mixture that there must be for each component, and a column more",
        "Mixtures",
    )
    mixture_prior: float = _number(
        0.5,
        "rows that the mean of a mixture's covariances counts as in each of them, for each column "
        "and one more, in mixtures beside those without such a prior; 0: there are none",
        "Mixtures with a prior",
        conditional=0.0,
        composed_conditional=0.0,
    )
    mixture_prior_rows: tuple[float, float] = _number(
        (10.0, 20.0),
        "rows of a mixture that there must be for each component with a prior; and for each, "
        "and a column more, from which on there are none with a prior",
        "Mixtures with a prior",
    )
    mixture_prior_numbers: int = _number(
        4_000_000, "numbers in the covariances of a mixture with a prior, at most"
    )
    mixture_iterations: int = _number(100, "most iterations of such a mixture")
    mixture_tol: float = _number(1e-4, "gain (nats) below which they end")
    least_variance: float = _number(
        1e-6, "added to a component's variances, in those of the whitened data; scikit-learn's"
    )
    negligible_component: float = _number(1e-4, "weight below which a component is left out")
    most_pieces: int = _number(8, "connected pieces up to which each has a flow", "Flows of pieces")
    piece_decay: float = _number(1e-2, "weight decay of such a flow", "Flows of pieces")
    piece_iterations: int = _number(
        30, "iterations of its run, which no held-out rows end", "Flows of pieces"
    )
    negligible_mixture: float = _number(
        1e-2,
        "given a context, weight below which the mixtures of one size and start, or the flow, are "
        "left out",
        "Conditional mixtures",
    )

    # What kind of density, where held-out rows choose.
    choice_lead: float = _number(
        1.0,
        "standard errors by which more maps must lead fewer, ...",
        "What kind of density",
    )
    choice_lead_own: float = _number(
        3.0, "... and where every potential holds out other rows", "What kind of density"
    )

    # Tails.
    tails: bool = _number(
        default=False,
        what="whether held-out rows may ask for tails heavier than a normal's",
        trial="Tails of conditional densities",
        conditional=True,
        composed_conditional=True,
    )
    tail_range: tuple[float, float] = _number(
        (1e-4, 0.4), "between which h is sought; below a half the variance is finite"
    )
    tail_gain: float = _number(
        2.0, "log-likelihood (nats, all held-out rows together) that a tail must gain", "Ablation"
    )

    @property
    def activation(self) -> AbstractActivation:
        """The activation of the convex layers."""
        return ACTIVATIONS[self.algorithm.activation]

    @property
    def nonnegativity(self) -> AbstractNonnegativity:
        """How the weights between convex layers stay non-negative."""
        return NONNEGATIVITY[self.algorithm.nonnegativity]

    @property
    def solver(self) -> AbstractInnerSolver:
        """What solves for w."""
        return INNER_SOLVERS[self.algorithm.inner](tau=self.tau)

    @property
    def criteria(self) -> StoppingCriteria:
        """When a run must end."""
        return StoppingCriteria(
            self.max_iter,
            self.n_iter_no_change,
            self.patience_share,
            self.algorithm.max_work_units,
            self.least_rise,
        )

    @property
    def ending(self) -> float:
        """Seconds of the time limit that are kept for what follows the runs."""
        limit = 0.0 if self.max_seconds is None else self.max_seconds
        return min(self.ending_share * limit, self.ending_seconds)

    @property
    def context_start(self) -> ContextStart:
        """Numbers of the initial weights that see a context."""
        return ContextStart(
            self.context_spread, self.context_noise, self.shift_ridge, self.least_sd
        )

    @property
    def distances(self) -> Distances:
        """Which rows are far, and when they are brought nearer."""
        return Distances(
            self.far_distance,
            self.far_shares,
            self.least_far,
            self.far_alone,
            self.far_neighbours,
            self.most_columns,
        )

    def are_enough(self, n_rows: float, n_columns: int) -> bool:
        """Whether so many independent rows allow for more than a Gaussian."""
        return n_rows >= max(self.least_rows, self.least_rows_a_column * (n_columns + 1))

    def has_mixture(self, n_rows: int, n_columns: int, size: int) -> bool:
        """Whether so many rows allow for a mixture of so many components."""
        return size * self.mixture_rows * (n_columns + 1) <= n_rows

    def has_mixture_with_prior(self, n_rows: int, n_columns: int, size: int) -> bool:
        """Whether so many rows allow for such a mixture with a prior, and are few enough for it.

        Of fewer than the columns and components together the covariances' mean has no inverse.
        """
        least, enough = self.mixture_prior_rows
        return (
            self.mixture_prior > 0.0
            and max(size * least, n_columns + size + 1) <= n_rows
            and n_rows < size * enough * (n_columns + 1)
            and size * n_columns**2 <= self.mixture_prior_numbers
        )

    def are_few(self, n_rows: float, n_columns: int) -> bool:
        """Whether so many independent rows choose how their covariance is estimated.

        Of more columns than potentials can be of, any do.
        """
        has_gaussian = self.algorithm.quadratic and n_columns > 1
        few = n_rows < self.covariance_rows * n_columns
        return has_gaussian and (few or n_columns > self.most_columns)

    def can_choose_covariance(self, n_rows: int) -> bool:
        """Whether a part of so many distinct rows is some."""
        return n_rows >= 2 * self.covariance_parts

    def n_directions(self, n_rows: float, n_columns: int, n_factors: int | None = None) -> int:
        """Return how many directions a potential of few rows is of; 0: none is fitted.

        Where all that columns have in common is made of so many factors, no more than these.
        """
        only_all = self.whiten != "full" or not self.algorithm.quadratic
        if only_all or n_columns < self.direction_columns:
            return n_columns if self.are_enough(n_rows, n_columns) else 0
        if n_rows < self.least_rows:
            return 0
        most = n_columns if n_factors is None else n_factors
        return min(most, int(n_rows / self.direction_rows) - 1, self.most_directions)

    @property
    def bending(self) -> Bending:
        """Which columns of a context are bent, and how finely."""
        return Bending(self.far_value, self.context_quantiles, self.least_distinct)

    @property
    def eliminates(self) -> bool:
        """Whether the search eliminates w, as long as the table is not a long one."""
        return self.optimizer(0, 0).eliminates

    def optimizer(self, seed: int, n_rows: int) -> AbstractOptimizer:
        """Return what minimises the loss on so many rows; `seed` is that of mini-batches."""
        return OPTIMIZERS[self._optimizer_name(n_rows)](self.tol, seed)

    def _optimizer_name(self, n_rows: int) -> str:
        if self.algorithm.optimizer != AUTO:
            return self.algorithm.optimizer
        return ON_LONG_TABLES if n_rows > self.whole_rows else ON_SHORT_TABLES

    def n_potentials(self, n_rows: int) -> int:
        """Return the number of potentials in the sum."""
        return self.n_estimators_few if n_rows <= self.few_rows else self.n_estimators

    def splits_are_own(self, n_rows: int) -> bool:
        """Whether every potential holds out other rows."""
        return self.own_splits or n_rows <= self.few_rows

    def heldout_share(self, n_rows: float) -> float:
        """Return the share of so many independent rows to hold out."""
        if not self.validation_fraction:
            return 0.0
        return max(self.validation_fraction, min(self.most_heldout, self.least_apart / n_rows))

    def judge_share(self, n_rows: float) -> float:
        """Return the share of so many independent rows that judges."""
        if not self.judge_fraction:
            return 0.0
        return max(self.judge_fraction, min(self.most_judge, self.least_apart / n_rows))

    @property
    def blind_decay(self) -> float:
        """The weight decay where no held-out rows can choose."""
        return sqrt(prod(sorted(self.decays)[-2:])) if self.decay is None else self.decay

    def candidates(self, *, heldout: bool) -> tuple[Hyperparameters, ...]:
        """Return the hyperparameters to select from; one where no held-out rows can choose."""
        if self.decay is not None or not heldout:
            return (Hyperparameters(self.blind_decay, self.n_radial),)
        least = min(self.decays)
        return tuple(
            Hyperparameters(decay, 0 if decay == least else self.n_radial) for decay in self.decays
        )


def default_settings(*, composed: bool = False, conditional: bool = False) -> Settings:
    """Return the defaults of a density: of one map or several, of all columns or given some."""
    kind = KINDS[composed + 2 * conditional]
    return Settings(**{f.name: f.metadata[kind] for f in fields(Settings) if kind in f.metadata})


@dataclass(frozen=True)
class Description:
    """One number of the recipe, for the documentation.

    Attributes
    ----------
    name, what, trial : str
        The field, what it does, and the heading of its trial in `benchmarks/NOTES.md`.
    defaults : tuple
        Of every kind in `KINDS`.
    """

    name: str
    what: str
    trial: str
    defaults: tuple[Any, ...]


def describe() -> Iterator[Description]:
    """Yield what every number of the recipe is."""
    kinds = [
        default_settings(composed=composed, conditional=conditional)
        for conditional in (False, True)
        for composed in (False, True)
    ]
    for f in fields(Settings):
        defaults = tuple(getattr(settings, f.name) for settings in kinds)
        yield Description(f.name, f.metadata["what"], f.metadata["trial"], defaults)
