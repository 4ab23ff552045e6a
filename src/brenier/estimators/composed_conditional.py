"""The density of targets given what is known, by several convex potentials in turn."""

from collections.abc import Sequence
from numbers import Integral

from sklearn.utils._param_validation import Interval

from brenier.estimators.conditional import ConditionalConvexPotentialFlow
from brenier.optimizers.progress import ProgressCallback
from brenier.potential.features import AbstractMap
from brenier.training.composition import train_composed
from brenier.training.conditional import ConditionalModel
from brenier.training.settings import Settings
from brenier.training.training import TrainingResult
from brenier.varpro.sample import Data


class ComposedConditionalConvexPotentialFlow(ConditionalConvexPotentialFlow):
    """Density of targets Y given X by a composition of gradients of convex potentials.

    z = grad Phi_B(... grad Phi_1(y; x) ...; x): each block is a potential like that of
    `ConditionalConvexPotentialFlow`, trained for a few iterations where the blocks before it lead;
    then all are searched together, the last block's last layer solved for exactly (variable
    projection). For several targets whose density is curved, in several pieces or otherwise far
    from normal, as the posteriors of simulators are: a single map that is monotone in y leaves
    bridges between the pieces. Smooth densities of few rows are the other class's, which averages.

    Parameters
    ----------
    n_maps : int, default=2
        Potentials in turn, two or more.
    widths : tuple of int, default=(16, 16)
        Widths of the layers of every block that are convex in y.
    context_widths : tuple of int, default=(8, 8)
        Widths of those that see x alone.
    n_gates : int, default=0
        Quadratic terms along each axis whose weight depends on x, in every block.
    activation, whiten, bounds, optimizer, inner, tau
        As in `ConditionalConvexPotentialFlow`, for every block.
    decay : float, optional
        Weight decay of the search (nats per squared weight). None: short searches of every block
        with 1e-3, 1e-2 and 1e-1 race; the joint search has the least that any block won with. 1e-2
        where no rows are held out.
    max_iter, tol, max_seconds, max_work_units, n_iter_no_change
        Of the joint search; a block by itself gets no more than 60 iterations.
    n_init : int, default=4
        Initial weights tried, each by a joint search of its own; the best on the held-out rows is
        kept. (Compositions, unlike potentials, cannot be averaged.)
    validation_fraction, random_state, verbose
        As in `ConvexPotentialFlow`.

    Attributes
    ----------
    flow_ : ConvexFlow
        The fitted flow on rows (y, x); `flow_.map.blocks` has the potentials.
    report_, n_iter_, n_features_in_, feature_names_in_, target_names_
        As in `ConditionalConvexPotentialFlow`.

    References
    ----------
    .. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
           Emory University, 2023, chapter 5.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import ComposedConditionalConvexPotentialFlow
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 1))
    >>> Y = np.hstack([X**2, X]) * rng.choice([-1, 1], size=(200, 1))
    >>> Y += 0.1 * rng.normal(size=(200, 2))
    >>> settings = {"widths": (4,), "context_widths": (4,), "decay": 1e-2, "max_iter": 10}
    >>> flow = ComposedConditionalConvexPotentialFlow(**settings, n_init=1).fit(X, Y)
    >>> flow.sample(X[:3], 5).shape
    (3, 5, 2)
    """

    _parameter_constraints = {
        **ConditionalConvexPotentialFlow._parameter_constraints,
        "n_maps": [Interval(Integral, 2, None, closed="left")],
    }
    _decays = (1e-3, 1e-2, 1e-1)
    _blind_decay = 1e-2

    def __init__(
        self,
        *,
        n_maps=2,
        widths=(16, 16),
        context_widths=(8, 8),
        n_gates=0,
        activation="gaussian-softplus",
        whiten="full",
        bounds=None,
        optimizer="lbfgs-varpro",
        inner="primal-dual",
        tau=1e-5,
        decay=None,
        max_iter=1000,
        tol=1e-5,
        max_seconds=None,
        max_work_units=None,
        n_iter_no_change=50,
        validation_fraction=0.1,
        n_init=4,
        random_state=0,
        verbose=0,
    ):
        self.n_maps = n_maps
        self.widths = widths
        self.context_widths = context_widths
        self.n_gates = n_gates
        self.activation = activation
        self.whiten = whiten
        self.bounds = bounds
        self.optimizer = optimizer
        self.inner = inner
        self.tau = tau
        self.decay = decay
        self.max_iter = max_iter
        self.tol = tol
        self.max_seconds = max_seconds
        self.max_work_units = max_work_units
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.n_init = n_init
        self.random_state = random_state
        self.verbose = verbose

    def _n_members(self, N: int) -> int:
        """Return one: the composition."""
        return 1

    def _train(
        self,
        data: Sequence[Data],
        settings: Settings,
        told: Sequence[ProgressCallback | None],
        model: ConditionalModel,
    ) -> list[TrainingResult[AbstractMap] | None]:
        """Return the best composition of the only split."""
        (rows,), (callback,) = data, told
        return [train_composed(rows, settings, int(self.n_maps), callback, model=model).whole]
