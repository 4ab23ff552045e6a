"""The density of all columns of a table."""

from dataclasses import replace
from typing import Any

from sklearn.utils._param_validation import StrOptions

from brenier.estimators.table import JOINT_CONSTRAINTS, AbstractJoint
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.features import AbstractMap
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.training.settings import Settings
from brenier.training.training import TrainingResult, train
from brenier.varpro.sample import Data


class ConvexPotentialFlow(AbstractJoint):
    """Density of a table of samples, as the pull-back of a normal by the gradient of a convex map.

    The log-density is that of a standard normal at z = grad Phi(y), y the preprocessed row, plus
    the log-determinants. Phi is an input convex neural network whose last layer is solved for
    exactly at every step of an L-BFGS search over the rest (variable projection). The fit is
    deterministic, and never worse in training likelihood than a Gaussian.

    Parameters
    ----------
    widths : tuple of int, default=(16, 16, 16, 16)
        Widths of the hidden layers.
    n_radial : int, default=8
        RadialUnits beside the network, sqrt(1 + |B x + e|^2) each: round kinks for heavy tails, shells
        and funnels.
    activation : {"gaussian-softplus", "softplus", "squareplus"}
        Convex, non-decreasing activation.
    nonnegativity : {"bounds", "softplus"}
        How the weights between hidden layers stay non-negative: as bounds of the search, or as a
        softplus of free parameters (the thesis's form).
    quadratic : bool, default=True
        Whether the potential has quadratic terms. Without them (the thesis's form) the image of
        the map is bounded and the density integrates to less than one.
    whiten : {"full", "standardize", "none"}
        What is removed from the data first. Only "none" gives the Euclidean optimal-transport map
        in the data's own coordinates; the others give it in whitened ones.
    bounds : mapping or sequence, optional
        Column bounds in data units: `{name_or_index: (low, high)}`, or one pair a column; None
        where there is no bound. Bounded columns go through a logarithm or logit; the density
        outside is zero and samples lie strictly inside.
    optimizer : {"lbfgs-varpro", "adam-varpro", "adam-lbfgs-varpro", "gd-varpro", \
            "gauss-newton-varpro", "adam", "lbfgs-full", "gauss-newton-full"}
        How mu, all weights but the last layer's, is searched; the last three search the last
        layer's weights along with it. An iteration of the Adam optimizers is a pass through the rows.
    inner : {"primal-dual", "barrier"}
        How the last layer is solved for.
    tau : float, default=1e-5
        Final barrier weight (nats): also a mild prior that keeps the last layer's weights positive.
    decay : float, optional
        Weight decay of the search (nats per squared weight). None: short searches with 1e-4 and
        1e-2, and one with 1e-5 and without radial, race, and the most promising on held-out rows
        goes on; 1e-3 where no rows are held out.
    noise : float, optional
        Standard deviation, in those of the data, of the noise on copies of the rows that the
        search sees; 0 for none. None: chosen from the data, and none where their structure is
        coarse or the rows are many.
    max_iter : int, default=1000
        Most iterations of the search.
    tol : float, default=1e-5
        Gradient (nats) at which the search has converged.
    max_seconds : float, optional
        Time limit of `fit`; the best model so far is kept.
    max_work_units : int, optional
        Most forward and backward passes of single samples in one search (thesis 4.1).
    n_iter_no_change : int, default=50
        A search stops once the log-likelihood of held-out rows has not improved for this many
        iterations and a quarter of those done.
    validation_fraction : float, default=0.1
        Share of the rows held out to decide when to stop, chosen by their contents, if no
        `validation_data` is given. Small tables hold out more, up to a quarter. 0: none.
    n_init : int, default=1
        Initial weights tried for each potential; the best is kept.
    n_estimators : int, default=3
        Potentials from different initial weights whose weighted sum is the model's. The sum of
        convex potentials is one, so the map stays an optimal-transport map. The weights, and that
        of the Gaussian's potential beside them, are the best on the held-out rows; without such
        rows they are equal. A single one is returned as it was found.
    random_state : int, RandomState or None, default=0
        Seed of the initial weights, the split, and of `sample` by default.
    verbose : int, default=0
        Print every so many iterations; 0 is silent.

    Attributes
    ----------
    flow_ : ConvexFlow
        The fitted flow: pure functions of arrays, with NumPy weights.
    report_ : FitReport
        Status, certificate, log-likelihoods, history, times.
    n_iter_ : int
        Iterations of the search.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, if `X` was a table with names.

    Notes
    -----
    `score` is the MEAN log-likelihood per row, as in `GaussianMixture`; `KernelDensity.score` is a
    sum.

    References
    ----------
    .. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
           Emory University, 2023.
    .. [2] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", 2021,
           arXiv 2012.05942.

    Examples
    --------
    >>> from brenier import ConvexPotentialFlow
    >>> from brenier.data.datasets import MAFMoon
    >>> X = MAFMoon().sample(300, random_state=0)
    >>> flow = ConvexPotentialFlow(widths=(8,), max_iter=20).fit(X)
    >>> flow.score_samples(X).shape
    (300,)
    >>> flow.sample(5, random_state=1).shape
    (5, 2)
    """

    _parameter_constraints = {
        **JOINT_CONSTRAINTS,
        "nonnegativity": [StrOptions(set(NONNEGATIVITY))],
        "quadratic": ["boolean"],
    }

    def __init__(
        self,
        *,
        widths=(16, 16, 16, 16),
        n_radial=8,
        activation="gaussian-softplus",
        nonnegativity="bounds",
        quadratic=True,
        whiten="full",
        bounds=None,
        optimizer="lbfgs-varpro",
        inner="primal-dual",
        tau=1e-5,
        decay=None,
        noise=None,
        max_iter=1000,
        tol=1e-5,
        max_seconds=None,
        max_work_units=None,
        n_iter_no_change=50,
        validation_fraction=0.1,
        n_init=1,
        n_estimators=3,
        random_state=0,
        verbose=0,
    ):
        self.widths = widths
        self.n_radial = n_radial
        self.activation = activation
        self.nonnegativity = nonnegativity
        self.quadratic = quadratic
        self.whiten = whiten
        self.bounds = bounds
        self.optimizer = optimizer
        self.inner = inner
        self.tau = tau
        self.decay = decay
        self.noise = noise
        self.max_iter = max_iter
        self.tol = tol
        self.max_seconds = max_seconds
        self.max_work_units = max_work_units
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.n_init = n_init
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def thesis(cls, **changes: Any) -> "ConvexPotentialFlow":
        """Return an estimator of the thesis's exact form, with any settings changed.

        Four hidden layers of 32, softplus, hidden weights through a softplus, no quadratics, raw
        coordinates, no weight decay, no noise, one potential, the barrier method inside (thesis
        2.2, 3.2, 4.1).

        Parameters
        ----------
        **changes
            Settings of `ConvexPotentialFlow` that shall differ.
        """
        form = {
            "widths": (32, 32, 32, 32),
            "n_radial": 0,
            "activation": "softplus",
            "nonnegativity": "softplus",
            "quadratic": False,
            "whiten": "none",
            "inner": "barrier",
            "decay": 0.0,
            "noise": 0.0,
            "n_estimators": 1,
        }
        return cls(**{**form, **changes})

    @property
    def _contains_gaussians(self) -> bool:
        return bool(self.quadratic)

    def _train(
        self, data: Data, settings: Settings, on_iteration: ProgressCallback | None
    ) -> TrainingResult[AbstractMap]:
        own = replace(
            settings,
            nonnegativity=NONNEGATIVITY[self.nonnegativity],
            quadratic=bool(self.quadratic),
        )
        return train(data, own, on_iteration)
