"""What estimators of a flow, or of one among others, share: the fit and the model file."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from brenier.data.bounds import column_bounds
from brenier.data.checks import check_columns
from brenier.data.dependence import check_independent_beyond_rounding
from brenier.data.folding import Folding
from brenier.data.rows import WeightedRows
from brenier.data.sketch import Sketch
from brenier.estimators.checkpoints import about_fit
from brenier.estimators.files import save_estimator
from brenier.estimators.folded import PLAIN
from brenier.estimators.following import Following
from brenier.estimators.observations import Observations
from brenier.estimators.parameters import AUTO, composed_settings_of, seed_of
from brenier.estimators.row_warnings import told_of_far_rows, told_of_rows
from brenier.flow.evaluation import in_batches, log_density
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds
from brenier.flow.shelf import Shelf
from brenier.potential.gaussian import AbstractGaussian
from brenier.status import FitStatus
from brenier.training.checkpoint import current_checkpoint
from brenier.training.choice import fit_maps
from brenier.training.families import AbstractFamily
from brenier.training.fit import fit
from brenier.training.report import FitReport
from brenier.training.settings import Settings
from brenier.training.signals import held_back


class AbstractDensity(BaseEstimator, ABC):
    """What estimators of a flow, or of one among others, share: the fit and the model file."""

    # Whether the density is of some columns given others.
    _is_conditional = False
    # Of the periodic and discrete columns of those that may have some.
    folding_: Folding = PLAIN
    # Of the rows it has seen; None of models in files that were written without.
    sketch_: Sketch | None = None
    # Whether a fit can begin at a model.
    _goes_on = True

    bounds: object
    n_maps: object
    random_state: object
    # Set by scikit-learn's `validate_data`.
    n_features_in_: int
    feature_names_in_: np.ndarray
    flow_: ConvexFlow
    baseline_: AbstractGaussian
    report_: FitReport
    n_iter_: int

    def save(self, path: str | PathLike, *, probes: bool = True) -> None:
        """Write the fitted estimator to one safetensors file, atomically.

        Parameters
        ----------
        path : str or path
            Where to; an existing file is replaced only once the new one is complete.
        probes : bool, default=True
            Whether log-densities of three points are stored with the model, which a load compares
            with its own. To compute them may take some seconds of compiling.

        Raises
        ------
        OSError
            If it cannot be written; what was there before is untouched.
        """
        check_is_fitted(self)
        save_estimator(self, path, with_probes=probes)

    def _fit(
        self,
        observations: Observations,
        heldout: Observations | None,
        family: AbstractFamily,
        settings: Settings,
        following: Following,
    ) -> None:
        """Fit to checked rows and set the fitted attributes; to be called by `fit` itself.

        Parameters
        ----------
        observations : Observations
            What is trained on and judges, and where `heldout` is None, what is held out.
        heldout : Observations or None
            What decides when a run stops and which model is chosen.
        family : AbstractFamily
            What kind of density is fitted.
        settings : Settings
            All numbers of the fit.
        following : Following
            Who follows it.
        """
        names, seed = observations.names, seed_of(self.random_state)
        checkpoint = current_checkpoint()
        if checkpoint is not None:
            checkpoint.begin_fit(about_fit(self, observations, heldout, seed))
        with held_back(), jax.enable_x64(True):
            bounds = column_bounds(self.bounds, names)
            rows = observations.distinct(bounds, seed, "training data")
            own = rows.X[:, : len(names)]
            check_columns(ColumnBounds(*bounds).columns(own), names)
            check_independent_beyond_rounding(own, names)
            self._check_distinct(rows, settings)
            discrete = told_of_rows(observations, rows, stacklevel=3)
            model = self._recipe(
                rows,
                None if heldout is None else heldout.distinct(bounds, seed, "validation_data"),
                family,
                settings,
                bounds=bounds,
                seed=seed,
                discrete=discrete,
                callback=following.callback,
                listener=following.listener,
                began=following.began,
            )
            self._keep(model)
            self.sketch_ = observations.sketch(heldout)
            preprocessing, report = model.flow.preprocessing, model.report
            self.report_ = told_of_far_rows(
                report, observations, preprocessing, settings, stacklevel=3
            )
            self.n_iter_ = max(1, self.report_.n_iter)
            _end_fit(self.report_, stacklevel=3)

    @property
    def _recipe(self) -> Callable[..., Any]:
        """What makes a model of rows, its call that of `brenier.training.fit.fit`."""
        if self.n_maps != AUTO:
            return fit
        composed = composed_settings_of(self, conditional=self._is_conditional)
        return partial(fit_maps, composed=composed)

    def _keep(self, model: Any) -> None:
        """Set the fitted attributes that are made of a model; how it went follows."""
        self.flow_, self.baseline_ = model.flow, model.gaussian

    def _density(self, X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return log p of checked rows (nats)."""
        return in_batches(log_density, self.flow_, X)

    def _seen(self, X: Float[np.ndarray, "N d"]) -> tuple[int, int]:
        """Return how many checked rows would be recognised if they had been seen, and how many are.

        Those of a context stand behind the density's own columns.
        """
        return (0, 0) if self.sketch_ is None else self.sketch_.seen(self.folding_.circles.fold(X))

    @property
    def _seen_range(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The least and the largest cells of the rows that it has seen; None where not known."""
        return None if self.sketch_ is None else (self.sketch_.low, self.sketch_.high)

    def _more_to_file(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what metadata and arrays a model file holds besides the flow and the baseline."""
        return {}, {}

    def _take_more(self, metadata: Mapping[str, Any], shelf: Shelf) -> None:
        """Set the attributes that are made of these."""

    @abstractmethod
    def _check_distinct(self, rows: WeightedRows, settings: Settings) -> None:
        """Warn of too few distinct rows, or raise `ValueError` where they have no model."""


def _end_fit(report: FitReport, *, stacklevel: int) -> None:
    """Raise KeyboardInterrupt after an interrupted fit, and warn of one that was cut short."""
    if report.status is FitStatus.INTERRUPTED:
        raise KeyboardInterrupt
    if not report.status.finished:
        warnings.warn(report.message, ConvergenceWarning, stacklevel=stacklevel + 1)
