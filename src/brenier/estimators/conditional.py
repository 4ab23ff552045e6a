"""The density of targets given a context: p(y | x)."""

from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.estimators.abstract_conditional_density import AbstractConditionalDensity
from brenier.estimators.normal import normal_points, warn_of_no_image
from brenier.estimators.tables import as_asked
from brenier.estimators.targets import check_same_length
from brenier.flow.evaluation import in_batches, transform
from brenier.flow.pure import AbstractPure


class ConditionalConvexPotentialFlow(AbstractConditionalDensity):
    """Density of targets y given a context X, as the pull-back of a normal by a map convex in y.

    The log-density of y at x is that of a standard normal at z = grad_y Phi(y; x), plus the
    log-determinants. Phi is a partially input convex network: convex in y for every x, which enters
    through a network of its own. Its last layer is solved for exactly at every step of the run
    (variable projection), as in `ConvexPotentialFlow`. The fit is deterministic, and never worse in
    training likelihood than a linear regression with Gaussian noise, whose logarithm of scale is
    linear in the context where the rows ask for that.

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
        more than three standard errors (one with `validation_data`); `report_.choice` says so.
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

    @property
    def density_(self) -> AbstractPure:
        """The density in JAX, of rows (targets, context): pure functions, of one row or many."""
        return self.flow_

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
