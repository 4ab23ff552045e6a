"""What a fitted estimator tells about its fit, in users' units: log-likelihoods in nats."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from brenier.data.weights import effective_size
from brenier.io.plain import to_plain, with_nan
from brenier.status import FitStatus
from brenier.training.phases import PHASES

REMEDIES = MappingProxyType(
    {
        FitStatus.ITERATION_LIMIT: "raise max_iter if the log-likelihood was still rising",
        FitStatus.TIME_LIMIT: "raise max_seconds if the log-likelihood was still rising",
        FitStatus.NO_PROGRESS: "try another random_state, n_init > 1, or a larger decay",
        FitStatus.NUMERICAL_FAILURE: "try whiten='full', quadratic terms, or a larger decay",
        FitStatus.INTERRUPTED: "fit again to go on",
    }
)
"""What a user can do after a fit that ended so."""
# Of the wall time: phases with less go without saying.
SHOWN_SHARE = 0.05
# Probability that an interval holds what it is of.
LEVEL = 0.95
# From so many effective rows on, tenths are not shown.
WHOLE = 100


@dataclass(frozen=True)
class MeanAndError:
    """A mean over rows, its standard error (nats), and the degrees of freedom of that."""

    mean: float
    standard_error: float
    degrees: float = float("inf")

    @staticmethod
    def of(
        values: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"] | None = None
    ) -> "MeanAndError":
        """Return the mean of `values` and its standard error; NaN error for a single row."""
        omega = np.ones(len(values)) if weights is None else np.asarray(weights, float)
        omega = omega / np.sum(omega)
        mean = float(omega @ values)
        degrees = effective_size(omega) - 1.0
        if len(values) < 2 or degrees <= 0 or not np.isfinite(mean):
            return MeanAndError(mean, float("nan"))
        spread = float(np.sqrt(np.sum((omega * (values - mean)) ** 2)))
        error = spread * float(np.sqrt(len(values) / (len(values) - 1)))
        return MeanAndError(mean, error, degrees)

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the mean over ever more rows lies in 95 of 100 cases (Student's t)."""
        half = float(stdtrit(self.degrees, 0.5 + 0.5 * LEVEL)) * self.standard_error
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        return f"{self.mean:.4f} +- {self.standard_error:.4f}"


@dataclass(frozen=True)
class Certificate:
    """How near the returned model is to satisfying its optimality conditions.

    Attributes
    ----------
    stationarity : float
        Largest entry of |grad_w J - lambda| at the returned weights, evaluated afresh (nats).
    duality_gap : float
        s . lambda: by at most so much would another w lower J at the same mu (nats).
    projected_gradient : float
        Largest entry of the gradient of J_tau in mu, projected on the bounds (nats).
    """

    stationarity: float
    duality_gap: float
    projected_gradient: float


@dataclass(frozen=True, repr=False)
class FitReport:
    """How a fit went.

    Log-likelihoods are means per row, in nats, of densities in the data's own units. Subtract
    (n/2) log 2 pi from their negatives to get the thesis's J. A *run* is one minimisation from one
    set of initial weights; the *winning* run is the best of them.

    Attributes
    ----------
    status : FitStatus
        How the run that won ended; interrupted or out of time where the fit as a whole was.
    message : str
        One sentence about it.
    is_gaussian : bool
        Whether the Gaussian itself was returned; `gaussian_reason` says why.
    n_maps : int
        Maps that are composed: gradients of potentials, one after the other.
    n_members : int
        Potentials whose weighted sum was returned, in all maps; 0 for the Gaussian.
    n_train, n_heldout, n_judge : int
        Distinct rows trained on; held out to choose when a run stops, hyperparameters, weights and
        tails; and set apart to judge what is returned. Where potentials hold out different rows,
        all that do not judge are trained on by some.
    n_rows, effective_size : int, float
        Distinct rows in all, and how many independent ones of equal weight they are worth: Kish's
        number, and of chains, of it the share that their autocorrelation leaves.
    train_log_likelihood, heldout_log_likelihood : float
        Of the returned model on the training rows, and without its tail on the held-out rows.
        These chose it: it is likelier there than on rows it has not seen. Where potentials hold
        out different rows, their mean, each on its own. NaN without such rows.
    log_likelihood, gain : MeanAndError or None
        Of the returned model on rows like the judge rows, which chose nothing, and what it gains
        there over the Gaussian, with its interval (`brenier.training.judge`). None where nothing
        judges.
    not_judged : str
        Why nothing judges, in a clause; nothing where something does.
    gaussian_train_log_likelihood, gaussian_heldout_log_likelihood : float
        Of the Gaussian (after the bounds' maps); NaN where there are no such rows.
    history : dict of tuples
        By iteration of the winning run: the fields of `Progress`.
    best_iteration : int
        The iteration that was returned; 0 for the Gaussian.
    n_evaluations : int
        Evaluations of the objective and its gradient, all runs together.
    newton_steps, chord_steps : tuple of int
        Of the inner solver in the winning run, solve by solve: evaluations of its objective with
        the Hessian, and those with the gradient only.
    inner_failures : int
        Inner solves that did not converge.
    work_units : int
        Forward and backward passes of single samples, winning run.
    decay, n_radial : float, int
        Weight decay and radial units of the winning run.
    run_decay, run_n_radial, run_log_likelihood : tuple
        Weight decay and radial units of every run, and what it reached (held out where there are
        such rows, else training).
    n_far, far_rows : int, tuple of str
        Rows that lie far from all others, and the farthest of them, each with its column and value:
        what comes before the map brings them nearer (`brenier.training.far_rows`).
    noise : float
        Standard deviation, in those of the data, of the noise on the rows that were trained on; the
        training log-likelihoods in `history` are of such rows.
    tail : float
        How heavy the density's tails are made (h of `brenier.flow.tail`); 0 for a normal's. The
        log-likelihoods in `history` and of every run are without it.
    seconds : dict
        Wall time: `total`, which is the sum of `reading`, `compiling`, `selecting`, `fitting` and
        `summing`, one after the other (`brenier.training.phases`); compiling that goes on beside a
        search is not in `compiling`. And summed over all runs, several of which are made at once:
        the time of the `runs`, and of it `compile`, `inner`, `gradient`, `heldout`.
    certificate : Certificate or None
        Optimality conditions at the returned iterate; None for the Gaussian, and where no time was
        left for them. Its duality gap bounds nothing where the stationarity is not small, as after
        optimizers that train w. Of a composition it is that of the last potential's w.
    discrete : tuple of str
        Columns whose values repeat: no gain is claimed then.
    n_components : int
        Of a mixture.
    pool : str
        How much of a mixture is what, in a clause; nothing of a single flow.
    pieces : str
        How many connected pieces a mixture's density has, and how well rows are told apart by
        them: the mean of a row's largest responsibility, and of their entropy. Nothing of a single
        flow, or given a context.
    baseline : str
        Of rows that are few for their columns, how the covariance of the Gaussian is estimated, and
        how many directions potentials are of, in a clause; nothing of others.
    choice : str
        What kind of density was taken, of those that held-out rows chose between, and why, in a
        sentence; nothing where none was to be chosen.
    """

    status: FitStatus
    message: str
    is_gaussian: bool
    n_maps: int
    n_members: int
    n_train: int
    n_heldout: int
    n_judge: int
    n_rows: int
    effective_size: float
    train_log_likelihood: float
    heldout_log_likelihood: float
    log_likelihood: MeanAndError | None
    gain: MeanAndError | None
    not_judged: str
    gaussian_train_log_likelihood: float
    gaussian_heldout_log_likelihood: float
    history: dict[str, tuple[int | float, ...]]
    best_iteration: int
    n_evaluations: int
    newton_steps: tuple[int, ...]
    chord_steps: tuple[int, ...]
    inner_failures: int
    work_units: int
    decay: float
    n_radial: int
    run_decay: tuple[float, ...]
    run_n_radial: tuple[int, ...]
    run_log_likelihood: tuple[float, ...]
    n_far: int
    far_rows: tuple[str, ...]
    noise: float
    tail: float
    seconds: dict[str, float]
    certificate: Certificate | None
    discrete: tuple[str, ...] = ()
    n_components: int = 1
    pool: str = ""
    pieces: str = ""
    choice: str = ""
    baseline: str = ""

    def __repr__(self) -> str:
        lines = {
            "status": f"{self.status.value}{' (the Gaussian)' * self.is_gaussian}",
            "rows": self.rows + self.worth,
            "log-likelihood": f"{self.train_log_likelihood:.4f} nats per row, training",
            "judged": f"{self.log_likelihood} nats per row",
            "gain over Gaussian": f"{self.gain} nats per row, judged",
            "model": f"{self.n_maps} map(s), {self.n_members} potential(s)",
            "runs": f"{len(self.run_decay)}; the best has {self.n_iter} iterations",
            "weight decay": f"{self.decay:g}, {self.n_radial} radial unit(s)",
            "seconds": f"{self.seconds['total']:.1f}",
        }
        if self.gain is None:
            lines["judged"] = "not at all"
            del lines["gain over Gaussian"]
        if self.discrete:
            lines["gain over Gaussian"] = no_gain_of(self.discrete)
        width = max(len(label) for label in lines)
        shown = "\n".join(f"  {label:{width}}  {text}" for label, text in lines.items())
        return f"FitReport\n{shown}"

    @property
    def worth(self) -> str:
        """What all rows are worth, after a comma; nothing where each is worth one."""
        return worth(self.effective_size) if self.effective_size < self.n_rows - 0.5 else ""

    @property
    def searched(self) -> bool:
        """Whether any run had an iterate."""
        return any(not np.isnan(reached) for reached in self.run_log_likelihood)

    @property
    def gaussian_reason(self) -> str:
        """Why the Gaussian was returned, in a clause; nothing where it was not."""
        if not self.is_gaussian:
            return ""
        return gaussian_reason(self.status, self.seconds, searched=self.searched)

    @property
    def rows(self) -> str:
        """How many rows there are for what."""
        parts = [f"{self.n_train} trained on"]
        parts += [f"{self.n_heldout} held out to choose"] * (self.n_heldout > 0)
        parts += [f"{self.n_judge} set apart to judge"] * (self.n_judge > 0)
        return ", ".join(parts)

    @property
    def verdict(self) -> str:
        """One plain sentence on what the gain over the Gaussian means, and why there is none."""
        if self.discrete and self.searched:
            return no_gain_of(self.discrete)
        if not self.is_gaussian:
            rows = f"{self.n_judge} rows that chose nothing"
            return self._unjudged if self.gain is None else verdict(self.gain, rows=rows)
        if self.status.finished and self.searched:
            seen = f" on {self.n_heldout} held-out rows" * (self.n_heldout > 0)
            return (
                f"Nothing better than a Gaussian was found{seen}: the data look Gaussian, or are "
                "too few to tell."
            )
        reason = self.gaussian_reason
        cure = remedy(self.status, searched=self.searched)
        cure = f"; {cure}" if cure else ""
        return f"{reason[0].upper()}{reason[1:]}{cure}. The model is the Gaussian."

    @property
    def _unjudged(self) -> str:
        """Why nothing judged, and what to do about it."""
        return (
            f"Not judged: {self.not_judged}. Rows that were not in the table can judge it: "
            "`brenier score MODEL OTHER_ROWS`, or `score` of the fitted estimator."
        )

    @property
    def n_iter(self) -> int:
        """Iterations of the winning run."""
        # A file keeps only some of very many, the last one among them.
        return int(max(self.history["iteration"], default=0))

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that JSON can hold; NaN and infinity become None."""
        return to_plain({**asdict(self), "status": self.status.name})

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> "FitReport":
        """Return the report that `to_dict` was made of; None becomes NaN in numbers."""
        fields = dict(plain)
        fields["discrete"] = tuple(fields.get("discrete", ()))
        fields["status"] = FitStatus[fields["status"]]
        for name in ("log_likelihood", "gain"):
            fields[name] = fields[name] and _mean_and_error(fields[name])
        fields["certificate"] = fields["certificate"] and Certificate(**fields["certificate"])
        fields["history"] = {
            key: tuple(with_nan(values)) for key, values in fields["history"].items()
        }
        for name in ("run_decay", "run_n_radial", "run_log_likelihood"):
            fields[name] = tuple(with_nan(fields[name]))
        for name in ("newton_steps", "chord_steps", "far_rows"):
            fields[name] = tuple(fields[name])
        for name in (
            "train_log_likelihood",
            "heldout_log_likelihood",
            "gaussian_train_log_likelihood",
            "gaussian_heldout_log_likelihood",
        ):
            fields[name] = with_nan(fields[name])
        return FitReport(**fields)


def _mean_and_error(plain: dict[str, Any]) -> MeanAndError:
    """Return what was made plain: infinite degrees of freedom have become None there."""
    degrees = plain.get("degrees")
    known = with_nan({name: plain[name] for name in ("mean", "standard_error")})
    return MeanAndError(**known, degrees=float("inf") if degrees is None else degrees)


def gaussian_reason(status: FitStatus, seconds: dict[str, float], *, searched: bool) -> str:
    """Return why a fit ended with the Gaussian, in a clause.

    Parameters
    ----------
    status : FitStatus
        How it ended.
    seconds : dict
        Where its time went.
    searched : bool
        Whether any run had an iterate.
    """
    if status.finished:
        return "no iterate was better" if searched else "the rows are too few for more"
    if searched:
        return (
            f"the search was cut off ({status.value}) before it found anything better than the "
            "Gaussian, and whether there is cannot be told"
        )
    return f"nothing was searched: {where_time_went(seconds)}"


def remedy(status: FitStatus, *, searched: bool) -> str:
    """Return what a user can do after a fit that ended so; nothing where nothing is amiss."""
    if status is FitStatus.TIME_LIMIT and not searched:
        return "raise max_seconds (programs are compiled once: the same fit again starts sooner)"
    return REMEDIES.get(status, "")


def worth(effective_size: float) -> str:
    """Return `, worth 2.7`, to be put after a number of rows."""
    return f", worth {effective_size:.{int(effective_size < WHOLE)}f}"


def no_gain_of(discrete: Sequence[str]) -> str:
    """Return one sentence on why no gain is claimed of columns whose values repeat."""
    return (
        f"No gain over a Gaussian is claimed: values of {', '.join(map(repr, discrete))} repeat, "
        "and the likelihood of repeated values means nothing."
    )


def where_time_went(seconds: dict[str, float]) -> str:
    """Return what the wall time of a fit went into, in words."""
    total = seconds["total"]
    spent = {phase: seconds.get(phase, 0.0) for phase in PHASES}
    shown = sorted(
        (phase for phase in PHASES if spent[phase] >= SHOWN_SHARE * total > 0),
        key=lambda phase: -spent[phase],
    )
    if not shown:
        return "there was no time"
    # Of a command, from the start of its process on.
    names = {phase: phase for phase in PHASES} | {PHASES[0]: f"starting and {PHASES[0]}"}
    if len(shown) == 1:
        return f"all {total:.3g} s went into {names[shown[0]]}"
    texts = [f"{spent[phase]:.3g} s into {names[phase]}" for phase in shown]
    return f"of {total:.3g} s went {', '.join(texts[:-1])} and {texts[-1]}"


def verdict(gain: MeanAndError, *, rows: str) -> str:
    """Return one plain sentence on what a gain over the Gaussian on some rows means.

    Parameters
    ----------
    gain : MeanAndError
        Nats per row.
    rows : str
        What to call the rows, as in "200 other rows".
    """
    if not np.isfinite(gain.mean):
        return (
            "Some rows have density zero under the model: they lie outside its bounds or absurdly "
            "far from the training data."
        )
    low, high = gain.interval
    between = f"95 % interval {low:.3f} to {high:.3f}"
    if low > 0:
        return (
            f"The density is better than a Gaussian by {gain.mean:.3f} nats per row on {rows} "
            f"({between})."
        )
    if high < 0:
        return (
            f"A Gaussian describes {rows} better, by {-gain.mean:.3f} nats per row ({between}): "
            "they differ from the training data, or the fit is not to be trusted."
        )
    known = gain if np.isfinite(gain.standard_error) else f"{gain.mean:.4f}"
    return (
        f"No difference from a Gaussian can be seen on {rows} (gain {known}): the data look "
        "Gaussian, or are too few to tell."
    )
