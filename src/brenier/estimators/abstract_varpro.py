"""What regression and classification by variable projection share: settings, rows, the fit."""

import time
import warnings
from abc import ABC
from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import check_scales, constant_columns, raise_if_categorical
from brenier.estimators.parameters import check_widths, seed_of
from brenier.estimators.tables import checked_rows, column_names
from brenier.estimators.weights import training_weights
from brenier.optimizers.early_stopping import Clock
from brenier.status import FitStatus, InputWarning
from brenier.supervised.fit import Fitted, fit
from brenier.supervised.predictor import Predictor
from brenier.supervised.report import SupervisedReport
from brenier.supervised.settings import SupervisedSettings
from brenier.supervised.task import AbstractTask
from brenier.training.signals import held_back


class AbstractVarPro(BaseEstimator, ABC):
    """Networks whose last layer is solved for, each of which holds out another part of the rows."""

    _parameter_constraints: ClassVar[Mapping[str, list[Any]]] = MappingProxyType(
        {
            "widths": [list, tuple, np.ndarray, None],
            "n_folds": [None, Interval(Integral, 2, None, closed="left")],
            "max_iter": [None, Interval(Integral, 1, None, closed="left")],
            "max_seconds": [None, Interval(Real, 0, None, closed="left")],
            "random_state": ["random_state"],
            "verbose": ["verbose"],
        }
    )
    # All columns are inputs.
    columns: ClassVar[None] = None
    # The recipe's numbers where none are set.
    _defaults: ClassVar[SupervisedSettings]

    # Set by scikit-learn's `validate_data`.
    n_features_in_: int
    predictor_: Predictor
    report_: SupervisedReport
    n_iter_: int

    def __init__(
        self,
        widths=None,
        n_folds=None,
        *,
        max_iter=None,
        max_seconds=None,
        random_state=0,
        verbose=0,
    ):
        self.widths = widths
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.max_seconds = max_seconds
        self.random_state = random_state
        self.verbose = verbose

    def _inputs(self, X: Any) -> Float[np.ndarray, "N n"]:
        """Return the checked inputs of a fit."""
        return checked_rows(self, X, reset=True, least=2, of_text=raise_if_categorical)

    def _each(self, X: Any) -> Float[np.ndarray, "K N o"]:
        """Return every network's outputs at checked rows."""
        check_is_fitted(self)
        return self.predictor_.each(checked_rows(self, X, of_text=raise_if_categorical))

    def _settings(self) -> SupervisedSettings:
        """Return all numbers of a fit: the defaults, and the estimator's own where they are set."""
        self._validate_params()
        check_widths(self.widths)
        given = {
            "widths": None if self.widths is None else tuple(int(width) for width in self.widths),
            "n_folds": None if self.n_folds is None else int(self.n_folds),
            "max_iter": None if self.max_iter is None else int(self.max_iter),
            "max_seconds": None if self.max_seconds is None else float(self.max_seconds),
        }
        return replace(
            self._defaults,
            **{name: value for name, value in given.items() if value is not None},
        )

    def _trained(
        self,
        X: Float[np.ndarray, "N n"],
        Y: Float[np.ndarray, "N o"],
        weights: Float[np.ndarray, " N"] | None,
        task: AbstractTask,
        settings: SupervisedSettings,
    ) -> tuple[Fitted, float]:
        """Return what the recipe makes of checked rows, and the seconds that it took."""
        self._check_inputs(X, stacklevel=5)
        clock = Clock(settings.max_seconds, time.perf_counter())
        with held_back(), jax.enable_x64(True):
            seed = seed_of(self.random_state)
            fitted = fit(X, Y, weights, task, settings, seed=seed, clock=clock)
        self.predictor_ = fitted.predictor
        return fitted, clock.elapsed

    def _told(self, report: SupervisedReport) -> None:
        """Keep the report, and tell of a fit that did not end by itself."""
        self.report_ = report
        self.n_iter_ = max(1, report.n_iter)
        if self.verbose:
            print(report)  # noqa: T201 - what `verbose` asks for
        if report.status is FitStatus.INTERRUPTED:
            raise KeyboardInterrupt
        if not np.isfinite(report.heldout_loss):
            raise FloatingPointError(
                f"Expected a fit that ends in numbers; it ended in {report.heldout_loss} on rows "
                "held out. Look for weights, or values, that differ by many powers of ten."
            )
        if report.status is FitStatus.TIME_LIMIT:
            warnings.warn(
                f"The fit ended at its time limit, max_seconds={self.max_seconds:g}: raise it.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _check_inputs(self, X: Float[np.ndarray, "N n"], *, stacklevel: int) -> None:
        """Check that 64 bits can be computed with the inputs; warn of columns that say nothing."""
        names = column_names(self)
        check_scales(X, names)
        constant = constant_columns(X, names)
        if constant:
            warnings.warn(
                f"Expected columns of X that vary; got constant {constant}: they have no influence "
                "on the model.",
                InputWarning,
                stacklevel=stacklevel,
            )


def checked_training_weights(
    sample_weight: Any, X: Float[np.ndarray, "N n"]
) -> Float[np.ndarray, " N"] | None:
    """Return the weights of the rows of a fit, not all of them zero."""
    return training_weights(sample_weight, None, X)
