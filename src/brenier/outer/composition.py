r"""Training of compositions: block after block, then all blocks together.

Block b is trained like any potential (`brenier.outer.training`), on the image of the rows under the
blocks before it. A block that is no better there than a Gaussian ends this: nothing is left to do
for it. Then all blocks are searched together from where they are,

    min_{mu} min_w  J(mu, w),    J = sum_j omega_j [ 1/2 |z_j|^2 - sum_b log det A_b(y_{b,j}) ],

mu all weights but the last block's w. These are eliminated as ever, for the earlier blocks'
log-determinants are constants in w (`brenier.potential.composition`). What the joint search found
is returned where it is better on the held-out rows.

References
----------
.. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, chapter 5.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.inner.solution import WarmStart
from brenier.linalg import log_det
from brenier.outer.gaussian import AbstractGaussian
from brenier.outer.jitter import jittered
from brenier.outer.monitor import Iterate, Limits
from brenier.outer.polish import loss_of_rows, polish
from brenier.outer.reduced import VariableProjection
from brenier.outer.report import Certificate, Iteration, ProgressCallback
from brenier.outer.sample import BLOCK_ROWS, Data, Sample
from brenier.outer.search import OUT_OF_TIME, PARTS, Search, Watch, search
from brenier.outer.settings import Form, Settings
from brenier.outer.side_by_side import side_by_side
from brenier.outer.start import RIDGE
from brenier.outer.training import TrainingResult, train
from brenier.potential.composition import ComposedFeatures, Composition
from brenier.potential.features import AbstractPotential, ConvexPotential
from brenier.potential.head import SeparableFeatures

Block = TrainingResult[AbstractPotential]
Found = TypeVar("Found", Iteration, Iterate)


@dataclass(frozen=True)
class ComposedResult:
    """A trained composition.

    Attributes
    ----------
    whole : TrainingResult
        Of all blocks: their searches one after the other, and the joint one. Losses are the
        composition's.
    blocks : tuple of TrainingResult
        Of every block that was kept, trained on its own; losses are those of its own rows.
    """

    whole: TrainingResult[Composition]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class _Image:
    """Rows where the blocks so far lead, and their mean log-determinants on the way."""

    data: Data
    log_det: float = 0.0
    heldout_log_det: float = 0.0

    def after(self, block: AbstractPotential) -> "_Image":
        """Return the rows where one more block leads."""
        data = self.data
        X, change = _image(block, data.X, data.weights)
        image = replace(self, data=replace(data, X=X), log_det=self.log_det + change)
        if data.heldout_X is None or data.heldout_weights is None:
            return image
        X, change = _image(block, data.heldout_X, data.heldout_weights)
        heldout = self.heldout_log_det + change
        return replace(image, data=replace(image.data, heldout_X=X), heldout_log_det=heldout)

    def whole(self, found: Found) -> Found:
        """Return what was found on these rows with the losses of the composition."""
        return replace(
            found,
            loss=found.loss - self.log_det,
            heldout_loss=found.heldout_loss - self.heldout_log_det,
        )


@dataclass(frozen=True)
class _Candidate:
    """A composition that could be returned: how it was found, and its J."""

    map: Composition
    best: Iterate | None
    certificate: Certificate | None
    winner: int
    loss: float
    heldout_loss: float

    @property
    def criterion(self) -> float:
        """Held-out loss, training loss where there is none."""
        value = self.loss if np.isnan(self.heldout_loss) else self.heldout_loss
        return value if np.isfinite(value) else np.inf


def train_composed(
    data: Data, settings: Settings, n_blocks: int, on_iteration: ProgressCallback | None = None
) -> ComposedResult:
    """Return the best composition found of at most `n_blocks` blocks.

    Call it where float64 is enabled. A KeyboardInterrupt ends the training and what there is so far
    is returned, with the status saying so.
    """
    started = time.perf_counter()
    trained, searches = _one_by_one(data, settings, n_blocks, on_iteration, started)
    forms = [form for block in trained for form in block.forms]
    # Only the last can be the Gaussian: it ended the training.
    kept = trained[:-1] if len(trained) > 1 and trained[-1].is_gaussian else trained
    first = sum(len(block.searches) for block in kept[:-1])
    chosen = _candidate(
        data,
        Composition(tuple(block.map for block in kept)),
        kept[-1].best,
        kept[-1].certificate,
        first + kept[-1].winner,
    )
    if len(kept) > 1 and trained[-1].status not in OUT_OF_TIME:
        limits = _remaining(settings.limits, started)
        watch = Watch(limits, started, on_iteration, number=len(searches) + 1)
        form = Form(min(block.forms[block.winner].decay for block in kept), 0)
        found, joint = _jointly(data, settings, kept, form, watch)
        searches.append(found)
        forms.append(form)
        if joint is not None and joint.criterion < chosen.criterion:
            chosen = joint
    return ComposedResult(_whole(trained, kept, searches, forms, chosen, started), tuple(kept))


def _one_by_one(
    data: Data,
    settings: Settings,
    n_blocks: int,
    on_iteration: ProgressCallback | None,
    started: float,
) -> tuple[list[Block], list[Search]]:
    """Return the blocks, each trained where those before it lead, and all their searches."""
    blocks: list[Block] = []
    searches: list[Search] = []
    image = _Image(data)
    while True:

        def tell(iteration: Iteration, image: _Image = image, before: int = len(searches)) -> None:
            if on_iteration is not None:
                on_iteration(replace(image.whole(iteration), search=before + iteration.search))

        limits = _remaining(settings.limits, started)
        own = replace(settings, seed=settings.seed + len(blocks), limits=limits)
        block = train(image.data, own, tell)
        blocks.append(block)
        for search_of_block in block.searches:
            iterations = tuple(image.whole(record) for record in search_of_block.iterations)
            best = search_of_block.best
            best = None if best is None else image.whole(best)
            searches.append(replace(search_of_block, iterations=iterations, best=best))
        cut_short = block.status in OUT_OF_TIME or block.best is None
        if cut_short or len(blocks) == n_blocks:
            return blocks, searches
        image = image.after(block.map)


def _jointly(
    data: Data, settings: Settings, blocks: Sequence[Block], form: Form, watch: Watch
) -> tuple[Search, _Candidate | None]:
    """Search all blocks together from where they are; return what was found, if anything."""
    potentials = [_separable(block.map) for block in blocks]
    floors = [
        _floor(potential, block.gaussian, settings.w_min)
        for potential, block in zip(potentials, blocks, strict=True)
    ]
    w = np.asarray(potentials[-1].w)
    ridge = np.where(np.arange(len(w)) < _width(potentials[-1]), RIDGE, 0.0)
    problem = VariableProjection(
        ComposedFeatures.of(potentials, floors[:-1]),
        floors[-1],
        ridge,
        settings.solver,
        np.asarray(form.decay),
    )
    seen = jittered(data, blocks[0].gaussian, blocks[0].jitter, settings.seed)
    cold = WarmStart.cold(jnp.asarray(w))
    (found,) = side_by_side(
        [partial(search, problem, settings.scheme, seen, cold, watch)], watch.stop
    )
    if found.best is None:
        return found, None
    best, certificate = polish(problem, seen, found)
    map_ = problem.features(jnp.asarray(best.theta)).with_weights(best.w)
    composition = Composition(jax.tree.map(np.asarray, map_.blocks))
    return found, _candidate(data, composition, best, certificate, watch.number - 1)


def _candidate(
    data: Data,
    map_: Composition,
    best: Iterate | None,
    certificate: Certificate | None,
    winner: int,
) -> _Candidate:
    heldout = float("nan")
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = loss_of_rows(map_, data.heldout_X, data.heldout_weights)
    loss = loss_of_rows(map_, data.X, data.weights)
    return _Candidate(map_, best, certificate, winner, loss, heldout)


def _whole(
    trained: Sequence[Block],
    kept: Sequence[Block],
    searches: Sequence[Search],
    forms: Sequence[Form],
    chosen: _Candidate,
    started: float,
) -> TrainingResult[Composition]:
    first, best = trained[0], chosen.best
    cut_short = (found.status for found in searches if found.status in OUT_OF_TIME)
    winner = trained[0].status if first.is_gaussian else searches[chosen.winner].status
    if best is not None:
        best = replace(best, loss=chosen.loss, heldout_loss=chosen.heldout_loss)
    seconds = {part: sum(found.seconds[part] for found in searches) for part in PARTS}
    return TrainingResult(
        map=chosen.map,
        status=next(cut_short, winner),
        n_members=sum(block.n_members for block in kept),
        is_gaussian=first.is_gaussian,
        best=best,
        gaussian=first.gaussian,
        gaussian_loss=first.gaussian_loss,
        gaussian_heldout_loss=first.gaussian_heldout_loss,
        certificate=chosen.certificate,
        searches=tuple(searches),
        forms=tuple(forms),
        winner=chosen.winner,
        jitter=first.jitter,
        seconds={"total": time.perf_counter() - started, **seconds},
    )


def _remaining(limits: Limits, started: float) -> Limits:
    """Return the limits with the time that is left."""
    if limits.max_seconds is None:
        return limits
    left = limits.max_seconds - (time.perf_counter() - started)
    return replace(limits, max_seconds=max(0.0, left))


def _separable(potential: AbstractPotential) -> ConvexPotential:
    match potential:
        case ConvexPotential(features=SeparableFeatures()):
            return potential
    raise TypeError(f"Expected one potential with separable features; got {potential}.")


def _width(potential: ConvexPotential) -> int:
    """Return the number of network features: those with floors that are no quadratics."""
    return potential.n_constrained - potential.n


def _floor(
    potential: ConvexPotential, gaussian: AbstractGaussian, w_min: float
) -> Float[np.ndarray, " m"]:
    """Return floors of a block's last weights, with room below those that it has."""
    w, d, n = np.asarray(potential.w), _width(potential), potential.n
    floor = np.full(len(w), -np.inf)
    floor[:d] = 0.0
    floor[d : d + n] = np.minimum(w_min / gaussian.sd, 0.5 * w[d : d + n])
    return floor


@eqx.filter_jit
def _map(block: AbstractPotential, blocks: Array) -> tuple[Array, Array]:
    """Return images (C, n, B) and log-determinants (C, B), chunk by chunk."""

    def image(X: Array) -> tuple[Array, Array]:
        z, A = block.gradient_and_hessian(X)
        return z, log_det(A)

    return jax.lax.map(image, blocks)


def _image(
    block: AbstractPotential, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "N n"], float]:
    """Return where a block leads rows, and its mean log-determinant on them."""
    N, n = X.shape
    images, log_dets = _map(block, Sample.of(X, weights, BLOCK_ROWS).X)
    rows = np.moveaxis(np.asarray(images), 1, 2).reshape(-1, n)[:N]
    return rows, float(np.average(np.asarray(log_dets).ravel()[:N], weights=weights))
