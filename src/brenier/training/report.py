"""What a fitted estimator tells about its fit, in users' units: log-likelihoods in nats."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

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
# From so many effective rows on, tenths are not shown.
WHOLE = 100


@dataclass(frozen=True)
class MeanAndError:
    """A weighted mean over rows and its standard error (nats)."""

    mean: float
    standard_error: float

    @staticmethod
    def of(
        values: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"] | None = None
    ) -> "MeanAndError":
        """Return the mean of `values` and its standard error; NaN error for a single row."""
        omega = np.ones(len(values)) if weights is None else np.asarray(weights, float)
        omega = omega / np.sum(omega)
        mean = float(omega @ values)
        if len(values) < 2 or not np.isfinite(mean):
            return MeanAndError(mean, float("nan"))
        spread = float(np.sqrt(np.sum((omega * (values - mean)) ** 2)))
        return MeanAndError(mean, spread * float(np.sqrt(len(values) / (len(values) - 1))))

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
    n_train, n_heldout : int
        Distinct rows trained on and held out.
    train_log_likelihood : float
        Of the returned model, training rows.
    heldout_log_likelihood, heldout_gain : MeanAndError or None
        Of the returned model on the held-out rows, and what it gains there over the Gaussian.
        Where potentials hold out different rows, of each on the rows that it has not seen: of
        their average nothing is known on unseen rows but that it is, without a tail, no worse than
        their mean. None without held-out rows.
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
    noise : float
        Standard deviation, in those of the data, of the noise on the rows that were trained on; the
        training log-likelihoods in `history` are of such rows.
    tail : float
        How heavy the density's tails are made (h of `brenier.flow.tail`); 0 for a normal's. It was
        chosen on the held-out rows, whose log-likelihood and gain are with it; those in `history`
        and of every run are without.
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
    effective_rows : float or None
        How many rows of equal weight are worth as much as all rows (Kish); None where all weights
        were equal.
    """

    status: FitStatus
    message: str
    is_gaussian: bool
    n_maps: int
    n_members: int
    n_train: int
    n_heldout: int
    train_log_likelihood: float
    heldout_log_likelihood: MeanAndError | None
    heldout_gain: MeanAndError | None
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
    noise: float
    tail: float
    seconds: dict[str, float]
    certificate: Certificate | None
    discrete: tuple[str, ...] = ()
    effective_rows: float | None = None

    def __repr__(self) -> str:
        lines = {
            "status": f"{self.status.value}{' (the Gaussian)' * self.is_gaussian}",
            "rows": f"{self.n_train} trained on, {self.n_heldout} held out{self.worth}",
            "log-likelihood": f"{self.train_log_likelihood:.4f} nats per row, training",
            "held out": f"{self.heldout_log_likelihood} nats per row",
            "gain over Gaussian": f"{self.heldout_gain} nats per row, held out",
            "model": f"{self.n_maps} map(s), {self.n_members} potential(s)",
            "runs": f"{len(self.run_decay)}; the best has {self.n_iter} iterations",
            "weight decay": f"{self.decay:g}, {self.n_radial} radial unit(s)",
            "seconds": f"{self.seconds['total']:.1f}",
        }
        if self.heldout_gain is None:
            lines["held out"] = "nothing"
            del lines["gain over Gaussian"]
        elif self.discrete:
            lines["gain over Gaussian"] = no_gain_of(self.discrete)
        width = max(len(label) for label in lines)
        shown = "\n".join(f"  {label:{width}}  {text}" for label, text in lines.items())
        return f"FitReport\n{shown}"

    @property
    def worth(self) -> str:
        """What all rows are worth, after a comma; nothing where all weights were equal."""
        return worth(self.effective_rows)

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
    def verdict(self) -> str:
        """One plain sentence on what the gain over the Gaussian means, and why there is none."""
        rows = f"{self.n_heldout} held-out rows"
        if self.discrete and self.searched:
            return no_gain_of(self.discrete)
        if not self.is_gaussian:
            return verdict(self.heldout_gain, rows=rows)
        if self.status.finished and self.searched:
            seen = f" on {rows}" * (self.n_heldout > 0)
            return (
                f"Nothing better than a Gaussian was found{seen}: the data look Gaussian, or are "
                "too few to tell."
            )
        reason = self.gaussian_reason
        cure = remedy(self.status, searched=self.searched)
        cure = f"; {cure}" if cure else ""
        return f"{reason[0].upper()}{reason[1:]}{cure}. The model is the Gaussian."

    @property
    def n_iter(self) -> int:
        """Iterations of the winning run."""
        return len(self.history["iteration"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that JSON can hold; NaN and infinity become None."""
        return to_plain({**asdict(self), "status": self.status.name})

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> "FitReport":
        """Return the report that `to_dict` was made of; None becomes NaN in numbers."""
        fields = dict(plain)
        fields["discrete"] = tuple(fields.get("discrete", ()))
        fields["status"] = FitStatus[fields["status"]]
        for name in ("heldout_log_likelihood", "heldout_gain"):
            fields[name] = fields[name] and MeanAndError(**with_nan(fields[name]))
        fields["certificate"] = fields["certificate"] and Certificate(**fields["certificate"])
        fields["history"] = {
            key: tuple(with_nan(values)) for key, values in fields["history"].items()
        }
        for name in ("run_decay", "run_n_radial", "run_log_likelihood"):
            fields[name] = tuple(with_nan(fields[name]))
        for name in ("newton_steps", "chord_steps"):
            fields[name] = tuple(fields[name])
        for name in (
            "train_log_likelihood",
            "gaussian_train_log_likelihood",
            "gaussian_heldout_log_likelihood",
        ):
            fields[name] = with_nan(fields[name])
        return FitReport(**fields)


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


def worth(effective_rows: float | None) -> str:
    """Return `, worth 2.7` after a number of rows, if their weights are not equal."""
    if effective_rows is None:
        return ""
    return f", worth {effective_rows:.{int(effective_rows < WHOLE)}f}"


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


def verdict(gain: MeanAndError | None, *, rows: str) -> str:
    """Return one plain sentence on what a gain over the Gaussian on some rows means.

    Parameters
    ----------
    gain : MeanAndError or None
        Nats per row; None where there are no such rows.
    rows : str
        What to call the rows, as in "200 held-out rows".
    """
    if gain is None:
        return "No rows were held out, so nothing can be said about rows not seen in training."
    if not np.isfinite(gain.mean):
        return (
            "Some rows have density zero under the model: they lie outside its bounds or absurdly "
            "far from the training data."
        )
    error = 0.0 if np.isnan(gain.standard_error) else gain.standard_error
    if gain.mean > 2 * error and gain.mean > 0:
        return (
            f"The density is better than a Gaussian by {gain.mean:.3f} nats per row on {rows} "
            f"({gain.mean / max(error, 1e-12):.0f} standard errors)."
        )
    if gain.mean < -2 * error and gain.mean < 0:
        return (
            f"A Gaussian describes {rows} better, by {-gain.mean:.3f} nats per row: "
            "they differ from the training data, or the fit is not to be trusted."
        )
    return (
        f"No difference from a Gaussian can be seen on {rows} (gain {gain}): the data look "
        "Gaussian, or are too few to tell."
    )
