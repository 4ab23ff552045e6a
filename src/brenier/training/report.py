"""What a fitted estimator tells about its fit, in users' units: log-likelihoods in nats."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.optimizers.progress import Certificate
from brenier.status import FitStatus


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
class Progress:
    """One iteration of a search, for showing and for the report's history.

    `search` says which of the fit's searches it is, counted from one.
    Log-likelihoods are means per row in nats; NaN where there are no held-out rows.
    """

    search: int
    iteration: int
    n_rows: int
    train_log_likelihood: float
    heldout_log_likelihood: float
    newton_steps: int
    work_units: int
    seconds: float

    def __str__(self) -> str:
        heldout = ""
        if not np.isnan(self.heldout_log_likelihood):
            heldout = f"  held out {self.heldout_log_likelihood:10.4f}"
        return (
            f"search {self.search}  iteration {self.iteration:4d}  "
            f"train {self.train_log_likelihood:10.4f}{heldout}  nats/row  {self.seconds:6.1f} s"
        )


@dataclass(frozen=True)
class FitReport:
    """How a fit went.

    Log-likelihoods are means per row, in nats, of densities in the data's own units. Subtract
    (n/2) log 2 pi from their negatives to get the thesis's J.

    Attributes
    ----------
    status : FitStatus
        How the search that won ended; interrupted or out of time where the fit as a whole was.
    message : str
        One sentence about it.
    is_gaussian : bool
        Whether the Gaussian itself was returned, no search having done better.
    n_members : int
        Potentials whose weighted sum was returned, in all blocks; 0 for the Gaussian.
    n_train, n_heldout : int
        Distinct rows trained on and held out.
    train_log_likelihood : float
        Of the returned model, training rows.
    heldout_log_likelihood, heldout_gain : MeanAndError or None
        Of the returned model on the held-out rows, and what it gains there over the Gaussian.
        None without held-out rows.
    gaussian_train_log_likelihood, gaussian_heldout_log_likelihood : float
        Of the Gaussian (after the bounds' maps); NaN where there are no such rows.
    history : dict of tuples
        By iteration of the winning search: `search`, `iteration`, `n_rows`, `train_log_likelihood`,
        `heldout_log_likelihood`, `newton_steps`, `work_units`, `seconds`.
    best_iteration : int
        The iteration that was returned; 0 for the Gaussian.
    n_evaluations : int
        Evaluations of the objective and its gradient, all searches together.
    newton_steps, chord_steps : tuple of int
        Inner steps of the winning search, evaluation by evaluation, and how many of them kept an
        earlier Hessian.
    inner_failures : int
        Inner solves that did not converge.
    work_units : int
        Forward and backward passes of single samples, winning search.
    decay, n_radial : float, int
        Weight decay and radial of the winning search.
    run_decay, run_n_radial, run_log_likelihood : tuple
        Weight decay and radial of every search, and what it reached (held out where there are such
        rows, else training).
    noise : float
        Standard deviation, in those of the data, of the noise on the rows that were searched on;
        the training losses in `history` are of such rows.
    seconds : dict
        Wall time: `total`; and summed over all searches, several of which run at once, that of the
        `searches`, and of it `compile`, `inner`, `gradient`, `heldout`.
    certificate : Certificate or None
        Optimality conditions at the returned iterate; None for the Gaussian. Its duality gap
        bounds nothing where the stationarity is not small, as after optimizers that search w. Of a
        composition it is that of the last block's w.
    n_maps : int
        Potentials whose gradients are applied one after the other; 1 but for compositions.
    tail : float
        How heavy the density's tails are made (h of `brenier.flow.tail`); 0 for a normal's. It was
        chosen on the held-out rows, whose log-likelihood and gain are with it; those in `history`
        and of every search are without.
    """

    status: FitStatus
    message: str
    is_gaussian: bool
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
    seconds: dict[str, float]
    certificate: Certificate | None
    n_maps: int
    tail: float

    @property
    def verdict(self) -> str:
        """One plain sentence on what the gain over the Gaussian means."""
        return verdict(self.heldout_gain, rows=f"{self.n_heldout} held-out rows")

    @property
    def n_iter(self) -> int:
        """Iterations of the winning search."""
        return len(self.history["iteration"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain types that JSON can hold; NaN and infinity become None."""
        return _plain({**asdict(self), "status": self.status.name})

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> "FitReport":
        """Return the report that `to_dict` was made of; None becomes NaN in numbers."""
        # Files from before there were radial, chord steps, noise, compositions or tails lack them.
        added: dict[str, Any] = {
            "noise": 0.0,
            "n_maps": 1,
            "n_radial": 0,
            "tail": 0.0,
            "run_n_radial": [0] * len(plain["run_decay"]),
            "chord_steps": [0] * len(plain["newton_steps"]),
        }
        fields = added | plain
        fields["status"] = FitStatus[fields["status"]]
        for name in ("heldout_log_likelihood", "heldout_gain"):
            fields[name] = fields[name] and MeanAndError(**_with_nan(fields[name]))
        fields["certificate"] = fields["certificate"] and Certificate(**fields["certificate"])
        fields["history"] = {
            key: tuple(_nan_for_none(value) for value in values)
            for key, values in fields["history"].items()
        }
        for name in ("run_decay", "run_n_radial", "run_log_likelihood"):
            fields[name] = tuple(_nan_for_none(value) for value in fields[name])
        for name in ("newton_steps", "chord_steps"):
            fields[name] = tuple(fields[name])
        for name in (
            "train_log_likelihood",
            "gaussian_train_log_likelihood",
            "gaussian_heldout_log_likelihood",
        ):
            fields[name] = _nan_for_none(fields[name])
        return FitReport(**fields)


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


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _nan_for_none(value: Any) -> Any:
    return float("nan") if value is None else value


def _with_nan(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: _nan_for_none(value) for key, value in fields.items()}
