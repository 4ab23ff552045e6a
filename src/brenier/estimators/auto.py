"""The kind of density that held-out rows choose: a flow of one map or several, or a mixture."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.utils.validation import check_is_fitted

from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.mixture import ConvexPotentialMixture
from brenier.estimators.parameters import composed_settings_of
from brenier.training.choice import fit_any
from brenier.training.fit import Model
from brenier.training.mixture import MixtureModel


class AutoDensity(ConvexPotentialMixture):
    """What fits a flow or a mixture, as held-out rows choose; `chosen_` is the estimator.

    Parameters
    ----------
    columns, widths, n_radial, bounds, periods, discrete, tau, decay, noise, max_iter, tol, \
max_seconds, n_iter_no_change, validation_fraction, judge_fraction, n_estimators, random_state, \
verbose
        As of `ConvexPotentialMixture`.

    Attributes
    ----------
    chosen_ : ConvexPotentialFlow or ConvexPotentialMixture
        Fitted.
    """

    _model: Model | MixtureModel

    @property
    def _recipe(self) -> Callable[..., Any]:
        return partial(fit_any, composed=composed_settings_of(self, conditional=False))

    @property
    def chosen_(self) -> ConvexPotentialFlow | ConvexPotentialMixture:
        """The estimator of the kind that was chosen, fitted."""
        check_is_fitted(self)
        own = self.get_params(deep=False)
        if isinstance(self._model, MixtureModel):
            chosen = ConvexPotentialMixture(**own)
            chosen._keep(self._model)
        else:
            n_maps = self.report_.n_maps
            if n_maps > 1:
                # Compositions are not averaged.
                own["n_estimators"] = None
            chosen = ConvexPotentialFlow(**own, n_maps=n_maps)
            chosen._keep(self._model)
        for name in ("report_", "n_iter_", "n_features_in_", "folding_", "sketch_"):
            setattr(chosen, name, getattr(self, name))
        if hasattr(self, "feature_names_in_"):
            chosen.feature_names_in_ = self.feature_names_in_
        return chosen

    def _keep(self, model: Model | MixtureModel) -> None:
        self.flow_, self.baseline_, self._model = model.flow, model.gaussian, model


def fit_auto(
    X: Any,
    *,
    sample_weight: Any = None,
    log_weights: Any = None,
    groups: Any = None,
    validation_data: Any = None,
    callback: Any = None,
    **parameters: Any,
) -> ConvexPotentialFlow | ConvexPotentialMixture:
    """Return a fitted flow of one, two or three maps, or a mixture, as held-out rows choose.

    More maps are taken where they lead fewer on held-out rows by more than a standard error of the
    paired difference (three where the model is an average over several splits), the mixture where
    it leads these; `report_.choice` says in a sentence what and why.

    Parameters
    ----------
    X : array or table, (N, n)
        Samples in data units.
    sample_weight, log_weights, groups, validation_data, callback
        As of `ConvexPotentialFlow.fit`.
    **parameters
        Of `ConvexPotentialMixture`: those that all kinds have.

    Raises
    ------
    ValueError
        If the rows cannot have a density; the message names rows and columns.
    KeyboardInterrupt
        After Ctrl-C; the model so far is lost. `brenier fit --kind auto` writes it.

    Examples
    --------
    >>> from brenier import fit_auto
    >>> from brenier.data.datasets import EightGaussians
    >>> X = EightGaussians().sample(400, random_state=0)
    >>> density = fit_auto(X, widths=(4,), max_iter=10, n_estimators=1)
    >>> type(density).__name__
    'ConvexPotentialMixture'
    >>> density.report_.choice[:19]
    'Taken: the mixture,'
    """
    return (
        AutoDensity(**parameters)
        .fit(
            X,
            sample_weight=sample_weight,
            log_weights=log_weights,
            groups=groups,
            validation_data=validation_data,
            callback=callback,
        )
        .chosen_
    )
