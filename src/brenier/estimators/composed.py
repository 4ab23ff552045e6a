"""The density of all columns of a table, by several convex potentials in turn."""

from numbers import Integral

from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from brenier.estimators.common import normal_points
from brenier.estimators.table import JOINT_CONSTRAINTS, AbstractJoint
from brenier.flow.evaluation import in_batches, map_inversions
from brenier.flow.inverse import Inversion
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.features import AbstractMap
from brenier.training.composition import train_composed
from brenier.training.settings import Settings
from brenier.training.training import TrainingResult
from brenier.varpro.sample import Data


class ComposedConvexPotentialFlow(AbstractJoint):
    """Density of a table by a composition of gradients of convex potentials.

    z = grad Phi_B(... grad Phi_1(y)): each block is a potential like that of `ConvexPotentialFlow`,
    trained for a few iterations where the blocks before it lead; then all are searched together,
    the last block's last layer solved for exactly (variable projection). The map is invertible and
    monotone block by block, but no optimal-transport map. It follows thin curved shapes with far
    fewer weights than a single potential.

    Parameters
    ----------
    n_maps : int, default=2
        Potentials in turn, two or more.
    widths : tuple of int, default=(16, 16)
        Widths of every block's hidden layers.
    n_radial, activation, whiten, bounds, inner, tau, decay, noise
        As in `ConvexPotentialFlow`, for every block; the joint search has the least weight decay of
        any of them.
    optimizer : str, default="lbfgs-varpro"
        How a block is searched, and then all together; as in `ConvexPotentialFlow`.
    max_iter, tol, max_seconds, max_work_units, n_iter_no_change
        As in `ConvexPotentialFlow`: of the joint search; a block by itself gets no more than 60
        iterations.
    validation_fraction : float, default=0.1
        As in `ConvexPotentialFlow`.
    n_init : int, default=3
        Initial weights tried, each by a joint search of its own; the best on the held-out rows is
        kept. (Compositions, unlike potentials, cannot be averaged.)
    n_estimators : int, default=1
        Potentials whose weighted sum every block starts from.
    random_state, verbose
        As in `ConvexPotentialFlow`.

    Attributes
    ----------
    flow_ : ConvexFlow
        The fitted flow; `flow_.map.blocks` has the potentials.
    report_ : FitReport
        Status, certificate, log-likelihoods, history, times.
    n_iter_ : int
        Iterations of the search that was best.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, if `X` was a table with names.

    References
    ----------
    .. [1] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", 2021,
           arXiv 2012.05942.
    .. [2] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
           Emory University, 2023, chapter 5.

    Examples
    --------
    >>> from brenier import ComposedConvexPotentialFlow
    >>> from brenier.data.datasets import MAFMoon
    >>> X = MAFMoon().sample(300, random_state=0)
    >>> flow = ComposedConvexPotentialFlow(widths=(4,), n_init=1, decay=1e-4, max_iter=10).fit(X)
    >>> flow.score_samples(X).shape
    (300,)
    """

    _parameter_constraints = {
        **JOINT_CONSTRAINTS,
        "n_maps": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_maps=2,
        widths=(16, 16),
        n_radial=8,
        activation="gaussian-softplus",
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
        n_init=3,
        n_estimators=1,
        random_state=0,
        verbose=0,
    ):
        self.n_maps = n_maps
        self.widths = widths
        self.n_radial = n_radial
        self.activation = activation
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

    def map_inversions(self, Z) -> tuple[Inversion, ...]:
        """Return how well every block was inverted, that of the block applied first in front.

        Parameters
        ----------
        Z : (N, n)
            Points of the normal space.

        Returns
        -------
        tuple of Inversion
            Each block's preimages, residuals and error bounds, in its own coordinates. `invert` has
            the certificate of the whole.
        """
        check_is_fitted(self)
        return in_batches(map_inversions, self.flow_, normal_points(Z, self.n_features_in_))

    @property
    def _contains_gaussians(self) -> bool:
        return True

    def _train(
        self, data: Data, settings: Settings, on_iteration: ProgressCallback | None
    ) -> TrainingResult[AbstractMap]:
        return train_composed(data, settings, int(self.n_maps), on_iteration).whole
