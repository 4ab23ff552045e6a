r"""Training of compositions: block after block, then all blocks together.

Block b is trained like any potential (`brenier.training.training`), on the image of the rows
under the blocks before it, for a few iterations. Then all blocks are searched together from where
they are,


    min_{mu} min_w  J(mu, w),    J = sum_j omega_j [ 1/2 |z_j|^2 - sum_b log det A_b(y_{b,j}) ],

mu all weights but the last block's w. These are eliminated as ever, for the earlier blocks'
log-determinants are constants in w (`brenier.potential.composition`). Several starts are tried; of
all compositions, before and after their joint searches, the best on the held-out rows is returned.
A start whose first block is no better than the Gaussian goes no further.

References
----------
.. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, chapter 5.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.inner.solution import WarmStart
from brenier.linalg import log_det
from brenier.optimizers.early_stopping import Iterate, StoppingCriteria, criterion
from brenier.optimizers.progress import Certificate, Iteration, ProgressCallback
from brenier.potential.composition import ComposedFeatures, Composition
from brenier.potential.features import AbstractPotential, ConvexPotential
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.final_solve import loss_of_rows, polish
from brenier.training.noise import noisy_copies
from brenier.training.parallel import one_at_a_time, run_parallel
from brenier.training.run import OUT_OF_TIME, PARTS, Search, Watch, search
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.start import AbstractModel
from brenier.training.training import JOINT, TrainingResult, train
from brenier.varpro.function import LEAST_SLACK
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import TILE_ROWS, Data, PaddedSample

# Iterations of a block by itself. Trained to its end, the first block leads the joint search into a
# worse optimum (benchmarks/NOTES.md).
GREEDY = 60

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
        Of every block trained on its own, where the joint search began; losses are those of the
        block's own rows.
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

    def of_whole(self, found: Search) -> Search:
        """Return a search on these rows with the losses of the composition."""
        best = None if found.best is None else self.whole(found.best)
        iterations = tuple(self.whole(record) for record in found.iterations)
        return replace(found, best=best, iterations=iterations)


@dataclass(frozen=True)
class _Chain:
    """Blocks trained one by one from one start, and all their searches, losses as of the whole."""

    blocks: tuple[Block, ...]
    searches: tuple[Search, ...]

    @property
    def forms(self) -> tuple[Hyperparameters, ...]:
        """The searches' forms."""
        return tuple(form for block in self.blocks for form in block.forms)

    @property
    def last(self) -> int:
        """The last block that a search found; the first where all are Gaussians."""
        found = [k for k, block in enumerate(self.blocks) if block.best is not None]
        return max(found, default=0)

    @property
    def winner(self) -> int:
        """Which of the searches that block is from."""
        before = sum(len(block.searches) for block in self.blocks[: self.last])
        return before + self.blocks[self.last].winner

    @property
    def out_of_time(self) -> bool:
        """Whether time was up, or Ctrl-C came."""
        return self.blocks[-1].status in OUT_OF_TIME

    @property
    def found_nothing(self) -> bool:
        """Whether the first block is no better than the Gaussian, so that no other was trained."""
        return self.blocks[0].best is None


@dataclass(frozen=True)
class _Candidate:
    """A composition that could be returned: from which search and which chain, and its J."""

    map: Composition
    best: Iterate | None
    certificate: Certificate | None
    winner: int
    chain: _Chain
    loss: float
    heldout_loss: float

    @property
    def criterion(self) -> float:
        """What it competes by."""
        return criterion(self.loss, self.heldout_loss)


def train_composed(
    data: Data,
    settings: Settings,
    n_maps: int,
    on_iteration: ProgressCallback | None = None,
    *,
    model: AbstractModel = JOINT,
) -> ComposedResult:
    """Return the best composition found of at most `n_maps` blocks, from `n_init` starts.

    Call it where float64 is enabled. A KeyboardInterrupt ends the training and what there is so far
    is returned, with the status saying so.

    Parameters
    ----------
    data : Data
        Rows to train on and to hold out.
    settings : Settings
        Of every block, and of the joint search; a block by itself gets `GREEDY` iterations.
    n_maps : int
        Two or more.
    on_iteration : callable, optional
        Who is told of all searches, with the losses of the composition so far.
    model : AbstractModel
        What kind of features every block has.
    """
    started = time.perf_counter()
    searches: list[Search] = []
    forms: list[Hyperparameters] = []
    candidates: list[_Candidate] = []
    for start in range(settings.n_init):
        own = replace(settings, n_init=1, seed=settings.seed + start * n_maps)
        # The first start's races decide the forms of all.
        known = [b.forms[b.winner] for first in candidates[:1] for b in first.chain.blocks]
        chain = _one_by_one(data, own, model, n_maps, known, on_iteration, len(searches), started)
        last = chain.blocks[chain.last]
        map_ = Composition(tuple(block.map for block in chain.blocks))
        winner = len(searches) + chain.winner
        candidates.append(_candidate(data, map_, last.best, last.certificate, winner, chain))
        searches.extend(chain.searches)
        forms.extend(chain.forms)
        if chain.out_of_time:
            break
    if not candidates[-1].chain.out_of_time:
        chains = [c.chain for c in candidates if not c.chain.found_nothing]
        for form, found, candidate in _jointly(
            data, settings, model, chains, on_iteration, len(searches), started
        ):
            searches.append(found)
            forms.append(form)
            candidates.extend([] if candidate is None else [candidate])
    chosen = min(candidates, key=lambda candidate: candidate.criterion)
    return ComposedResult(_whole(chosen, searches, forms, started), chosen.chain.blocks)


def _one_by_one(
    data: Data,
    settings: Settings,
    model: AbstractModel,
    n_maps: int,
    known: Sequence[Hyperparameters],
    on_iteration: ProgressCallback | None,
    n_before: int,
    started: float,
) -> _Chain:
    """Return the blocks, each trained where those before it lead; `known` are their forms."""
    blocks: list[Block] = []
    searches: list[Search] = []
    image = _Image(data)
    while True:
        told = None
        if on_iteration is not None:
            begun = time.perf_counter() - started
            told = partial(_tell, on_iteration, image, n_before + len(searches), begun)
        criteria = _remaining(settings.criteria, started)
        own = replace(
            settings,
            seed=settings.seed + len(blocks),
            criteria=replace(criteria, max_iter=min(GREEDY, criteria.max_iter)),
            forms=tuple(known[len(blocks) : len(blocks) + 1]) or settings.forms,
        )
        block = train(image.data, own, told, model=model)
        blocks.append(block)
        searches.extend(image.of_whole(found) for found in block.searches)
        chain = _Chain(tuple(blocks), tuple(searches))
        if chain.out_of_time or chain.found_nothing or len(blocks) == n_maps:
            return chain
        image = image.after(block.map)


def _tell(
    on_iteration: ProgressCallback, image: _Image, n_before: int, begun: float, iteration: Iteration
) -> None:
    """Tell of a block's iteration as one of the composition so far, `begun` seconds after it."""
    number, seconds = n_before + iteration.search, begun + iteration.seconds
    on_iteration(replace(image.whole(iteration), search=number, seconds=seconds))


def _jointly(
    data: Data,
    settings: Settings,
    model: AbstractModel,
    chains: Sequence[_Chain],
    on_iteration: ProgressCallback | None,
    n_before: int,
    started: float,
) -> list[tuple[Hyperparameters, Search, _Candidate | None]]:
    """Search all blocks of each chain together, from where they are."""
    stop = Event()
    tell = None if on_iteration is None else one_at_a_time(on_iteration)
    jobs = []
    for k, chain in enumerate(chains):
        watch = Watch(settings.criteria, started, tell, n_before + k + 1, stop)
        jobs.append(partial(_joint, data, settings, model, chain, watch))
    return run_parallel(jobs, stop)


def _joint(
    data: Data, settings: Settings, model: AbstractModel, chain: _Chain, watch: Watch
) -> tuple[Hyperparameters, Search, _Candidate | None]:
    blocks = chain.blocks
    of_blocks = [block.forms[block.winner] for block in blocks]
    form = Hyperparameters(min(f.decay for f in of_blocks), max(f.n_radial for f in of_blocks))
    potentials = [_separable(block.map) for block in blocks]
    floors, ridges = zip(
        *(
            _floor_and_ridge(model, potential, settings, block.gaussian)
            for potential, block in zip(potentials, blocks, strict=True)
        ),
        strict=True,
    )
    # A Gaussian's weights are on their floors.
    w = np.maximum(potentials[-1].w, floors[-1] + LEAST_SLACK)
    problem = VariableProjection(
        ComposedFeatures.of(potentials, floors[:-1]),
        floors[-1],
        ridges[-1],
        settings.solver,
        np.asarray(form.decay),
    )
    seen = noisy_copies(data, blocks[0].gaussian, blocks[0].noise, settings.seed)
    found = search(problem, settings.optimizer, seen, WarmStart.cold(jnp.asarray(w)), watch)
    if found.best is None:
        return form, found, None
    best, certificate = polish(problem, seen, found)
    map_ = problem.features(jnp.asarray(best.theta)).with_weights(best.w)
    composition = Composition(jax.tree.map(np.asarray, map_.blocks))
    winner = watch.number - 1
    return form, found, _candidate(data, composition, best, certificate, winner, chain)


def _candidate(
    data: Data,
    map_: Composition,
    best: Iterate | None,
    certificate: Certificate | None,
    winner: int,
    chain: _Chain,
) -> _Candidate:
    heldout = float("nan")
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = loss_of_rows(map_, data.heldout_X, data.heldout_weights)
    loss = loss_of_rows(map_, data.X, data.weights)
    return _Candidate(map_, best, certificate, winner, chain, loss, heldout)


def _whole(
    chosen: _Candidate, searches: Sequence[Search], forms: Sequence[Hyperparameters], started: float
) -> TrainingResult[Composition]:
    blocks, best = chosen.chain.blocks, chosen.best
    first = blocks[0]
    cut_short = (found.status for found in searches if found.status in OUT_OF_TIME)
    own = first.status if first.is_gaussian else searches[chosen.winner].status
    if best is not None:
        best = replace(best, loss=chosen.loss, heldout_loss=chosen.heldout_loss)
    seconds = {part: sum(found.seconds[part] for found in searches) for part in PARTS}
    return TrainingResult(
        map=chosen.map,
        status=next(cut_short, own),
        n_members=sum(block.n_members for block in blocks),
        is_gaussian=first.is_gaussian,
        best=best,
        gaussian=first.gaussian,
        gaussian_loss=first.gaussian_loss,
        gaussian_heldout_loss=first.gaussian_heldout_loss,
        certificate=chosen.certificate,
        searches=tuple(searches),
        forms=tuple(forms),
        winner=chosen.winner,
        noise=first.noise,
        seconds={"total": time.perf_counter() - started, **seconds},
    )


def _remaining(criteria: StoppingCriteria, started: float) -> StoppingCriteria:
    """Return the criteria with the time that is left."""
    if criteria.max_seconds is None:
        return criteria
    left = criteria.max_seconds - (time.perf_counter() - started)
    return replace(criteria, max_seconds=max(0.0, left))


def _separable(potential: AbstractPotential) -> ConvexPotential:
    if isinstance(potential, ConvexPotential):
        return potential
    raise TypeError(f"Expected one potential with separable features; got {potential}.")


def _floor_and_ridge(
    model: AbstractModel,
    potential: ConvexPotential,
    settings: Settings,
    gaussian: AbstractGaussian,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return floors of a block's last weights, with room below those that it has, and ridges."""
    floor, ridge = model.floor_and_ridge(potential.features, settings, gaussian)
    return np.where(floor > 0.0, np.minimum(floor, 0.5 * potential.w), floor), ridge


@eqx.filter_jit
def _map(block: AbstractPotential, blocks: Array) -> tuple[Array, Array]:
    """Return images (C, n, B) and log-determinants (C, B), chunk by chunk."""

    def image(X: Array) -> tuple[Array, Array]:
        z, A = block.gradient_and_hessian(X)
        return z, log_det(A)

    return jax.lax.map(image, blocks)


def _image(
    block: AbstractPotential, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "N d"], float]:
    """Return where a block leads rows, their context as it is, and its mean log-determinant."""
    N, n = len(X), block.n
    images, log_dets = _map(block, PaddedSample.of(X, weights, TILE_ROWS).X)
    rows = np.moveaxis(np.asarray(images), 1, 2).reshape(-1, n)[:N]
    mean = float(np.average(np.asarray(log_dets).ravel()[:N], weights=weights))
    return np.concatenate([rows, X[:, n:]], axis=1), mean
