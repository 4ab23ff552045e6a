"""The density of targets given a context: p(y | x)."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import DensityMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from brenier.data.checks import raise_if_categorical
from brenier.data.names import default_names
from brenier.estimators.abstract_conditional import AbstractConditional
from brenier.estimators.following import Following
from brenier.estimators.normal import normal_points, warn_of_no_image
from brenier.estimators.observations import Observations
from brenier.estimators.parameters import settings_of
from brenier.estimators.tables import as_asked, checked_rows
from brenier.estimators.targets import check_same_length, checked_targets
from brenier.estimators.weights import checked_weights, mean_score, training_weights
from brenier.flow.evaluation import in_batches, log_density, transform
from brenier.training.families import ConditionalFamily
from brenier.training.likelihood import gaussian_log_density


class ConditionalConvexPotentialFlow(TransformerMixin, DensityMixin, AbstractConditional):
    """Density of targets y given a context X, as the pull-back of a normal by a map convex in y.

    The log-density of y at x is that of a standard normal at z = grad_y Phi(y; x), plus the
    log-determinants. Phi is a partially input convex network: convex in y for every x, which enters
    through a network of its own. Its last layer is solved for exactly at every step of the run
    (variable projection), as in `ConvexPotentialFlow`. The fit is deterministic, and never worse in
    training likelihood than a linear regression with Gaussian noise.

    With `n_maps` > 1 the map is a composition, z = grad Phi_B(... grad Phi_1(y; x) ...; x): for
    several targets whose density is curved, in several pieces or otherwise far from normal, as the
    posteriors of simulators are; a single map that is monotone in y leaves bridges between the
    pieces. Smooth densities of few rows want one map and an average of several.

    Parameters
    ----------
    columns : list of str, optional
        Names of the columns of `X` that are used, or patterns of names: `*` stands for any
        characters, `?` for one. Tables may then have others, of whatever kind, in any order, in
        `fit` and afterwards. None: all columns.
    n_maps : int or "auto", default=1
        Maps that are composed. "auto": two, or three, where they lead one less on held-out rows by
        more than a standard error; `report_.choice` says so.
    widths, context_widths : tuple of int, optional
        Widths of the layers that are convex in y, and of those that see x alone. None: (16, 16)
        and (16, 16), of several maps (16, 16) and (8, 8).
    n_gates : int, optional
        Quadratic terms along each axis whose weight depends on x, for noise that does. None: 4, of
        several maps 0.
    whiten : {"full", "standardize"}
        What is removed from the targets first. X is always standardised.
    bounds : mapping or sequence, optional
        Bounds of the targets in data units: `{name_or_index: (low, high)}`, or one pair a column.
    tau, max_iter, tol, max_seconds, n_iter_no_change, validation_fraction, judge_fraction
        As in `ConvexPotentialFlow`.
    decay : float, optional
        Weight decay (nats per squared weight). None: selected on held-out rows; where none are held
        out, 3e-2, of several maps 1e-2.
    n_init : int, optional
        Initial weights tried for each potential, or composition; the best is kept. None: 1, of
        several maps 4.
    n_estimators : int, optional
        Potentials from different initial weights whose weighted sum is the model's. Without
        `validation_data` every one holds out other rows, so that their sum, then with equal
        weights, has learnt from all. None: six of at most 2000 rows, three of more; of several
        maps one, since compositions cannot be averaged.
    algorithm : Algorithm, optional
        How the density is trained, if not as users want it.
    random_state, verbose
        As in `ConvexPotentialFlow`.

    Attributes
    ----------
    flow_ : ConvexFlow
        The fitted flow on rows (y, x).
    baseline_ : AbstractGaussian
        The linear regression with Gaussian noise, in preprocessed coordinates.
    report_ : FitReport
        Status, certificate, log-likelihoods, history, times. Its Gaussian is the regression.
    n_iter_ : int
        Iterations of the run that was best.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_, target_names_ : ndarray of str
        Column names of X, if it had any, and of y.

    Notes
    -----
    Where held-out rows are likelier under tails heavier than a normal's, and no target has a bound,
    z is mapped once more, radially, so that it has them (`brenier.flow.tail`; `report_.tail` says
    how heavy).

    Rounded or counted targets have no density: where values repeat, likelihood can be had for
    nothing, by spikes at these values. `fit` warns. Add uniform noise of one step's width
    (dequantisation) to such targets, and compare likelihoods with others' only where theirs were
    made so too.

    References
    ----------
    .. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
           Emory University, 2023, chapter 5.
    .. [2] Z. O. Wang, R. Baptista, Y. Marzouk, L. Ruthotto, D. Verma, "Efficient Neural Network
           Approaches for Conditional Optimal Transport with Applications in Bayesian Inference",
           2023, arXiv 2310.16975.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import ConditionalConvexPotentialFlow
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 1))
    >>> y = np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> flow = ConditionalConvexPotentialFlow(widths=(8,), context_widths=(8,), max_iter=20)
    >>> flow = flow.fit(X, y)
    >>> flow.score_samples(X, y).shape
    (200,)
    >>> flow.sample(X[:3], 5).shape
    (3, 5, 1)
    >>> flow.interval(X[:3], 0.9).shape
    (3, 2)
    """

    def fit(
        self,
        X,
        y,
        *,
        sample_weight=None,
        log_weights=None,
        groups=None,
        validation_data=None,
        callback=None,
    ):
        """Fit the density of y given X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context; numbers.
        y : array or table, (N,) or (N, n)
            Targets in data units.
        sample_weight : (N,), optional
            Non-negative weights; an integer weight is the same as that many copies of the row.
        log_weights : (N,), optional
            In place of `sample_weight`: logarithms of weights, up to a constant; minus infinity is
            a weight of zero.
        groups : (N,), optional
            Labels of chains or other groups. Rows of one label are not independent of each other;
            those of a chain come in its order. Contiguous blocks of them are trained on, choose or
            judge as a whole. Without it rows count as independent.
        validation_data : tuple (X, y) or (X, y, weights), optional
            Rows that choose when to stop and between models; they do not judge. Without them some
            rows are split off.
        callback : callable, optional
            Called with a `Progress` after every iteration of every run, one call at a time;
            several runs may be made at once, each in a thread of its own. Or a `Listener`
            (`brenier.training.phases`), which is told of phases.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows cannot have a conditional density; the message names rows and columns.
        KeyboardInterrupt
            After Ctrl-C: the estimator is then fitted with the best model so far, and
            `report_.status` says so.
        """
        following = Following.of(callback, int(self.verbose))
        self._validate_params()
        settings = settings_of(self, conditional=True)
        if y is None:
            # In the middle are scikit-learn's words, which its checks ask for.
            raise ValueError(
                "Expected targets y; got None. ConditionalConvexPotentialFlow requires y to be "
                "passed, but the target y is None. ConvexPotentialFlow fits the density of X alone."
            )
        X, Y = self._context(X, reset=True), checked_targets(self, y, reset=True)
        check_same_length(X, Y)
        weights = training_weights(sample_weight, log_weights, X)
        observations = self._observations(X, Y, weights, groups)
        heldout = None if validation_data is None else self._heldout(validation_data)
        self._fit(observations, heldout, ConditionalFamily(Y.shape[1]), settings, following)
        return self

    def score_samples(self, X, y=None) -> Float[np.ndarray, " N"]:
        """Return the log-density of every row of y given that of X.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, n), optional
            Targets in data units. None: the conditional means at X.

        Returns
        -------
        (N,)
            Log-densities in nats per data unit^n; minus infinity outside the bounds.
        """
        rows = self._pairs(X, y)
        return in_batches(log_density, self.flow_, rows)

    def score(self, X, y, sample_weight=None) -> float:
        """Return the MEAN log-density of the rows of y given those of X (nats).

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, n)
            Targets in data units.
        sample_weight : (N,), optional
            Weights of the mean.
        """
        return mean_score(self.score_samples(X, y), sample_weight)

    def baseline_score_samples(self, X, y=None) -> Float[np.ndarray, " N"]:
        """Return every row's log-density under linear regression with Gaussian noise.

        Bounded targets go through their maps first, so the baseline knows the bounds too.
        """
        rows = self._pairs(X, y)
        return gaussian_log_density(self.baseline_, self.flow_.preprocessing, rows)

    def transform(self, X, y=None) -> Float[np.ndarray, "N n"]:
        """Return z, the targets' images at X: standard normal at every X if the fit is right.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        y : array or table, (N,) or (N, n), optional
            Targets in data units. None: the conditional means at X, which are also what
            scikit-learn's `fit_transform` maps.
        """
        rows = self._pairs(X, y)
        Z = in_batches(transform, self.flow_, rows)
        warn_of_no_image(Z, "targets lie on or beyond their bounds", stacklevel=2)
        return Z

    def inverse_transform(self, X, Z) -> Any:
        """Return the targets whose images at X are Z.

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        Z : (N, n)
            Points of the normal space.
        """
        rows = self._context(X)
        Z = normal_points(Z, self.flow_.n)
        check_same_length(rows, Z, "Z")
        Y = self._preimages(rows, Z[:, None, :])[:, 0]
        return as_asked(self, Y, list(self.target_names_), X)

    def sample(self, X, n_samples=1, random_state=None) -> Any:
        """Return targets drawn from the density at every row of X.

        Where `set_output` asks for a table it has N n_samples rows: those of the first row of X,
        then those of the second, ...

        Parameters
        ----------
        X : array or table, (N, q)
            The context.
        n_samples : int, default=1
            How many for each row.
        random_state : int, RandomState or None
            Seed; None takes the estimator's own, so that the same call gives the same targets.
        """
        Y = self._drawn(X, n_samples, random_state)
        table = as_asked(self, Y.reshape(-1, self.flow_.n), list(self.target_names_))
        return Y if isinstance(table, np.ndarray) else table

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the names of the columns of `transform`: z0, z1, ..."""
        check_is_fitted(self)
        return np.array(default_names(self.flow_.n, "z"), dtype=object)

    def _heldout(self, validation_data: Any) -> Observations:
        """Return held-out rows, with their weights if they have any."""
        if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
            raise ValueError(
                "Expected validation_data as a tuple (X, y) or (X, y, weights); got "
                f"{type(validation_data).__name__}."
            )
        X, Y, *weights = validation_data
        X, Y = checked_rows(self, X, of_text=raise_if_categorical), checked_targets(self, Y)
        check_same_length(X, Y)
        omega = checked_weights(weights[0] if weights else None, X)
        return Observations(Y, list(self.target_names_), X, omega)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
