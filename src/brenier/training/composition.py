r"""Training of compositions: potential after potential, then all together.

Potential b is trained like any other (`brenier.training.ensemble`), on the image of the rows under
the maps before it, for a few iterations. Then all are trained together from where they are,

    min_{mu} min_w  J(mu, w),    J = sum_j omega_j [ 1/2 |z_j|^2 - sum_b log det A_b(y_{b,j}) ],

mu all weights but the last potential's w. These are eliminated as ever, for the earlier maps'
log-determinants are constants in w (`brenier.potential.composition`). Several starts are tried; of
all compositions, before and after they are trained together, the best on the held-out rows is
returned. A start whose first potential is no better than the Gaussian goes no further.

References
----------
.. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, chapter 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.data.rows import Split
from brenier.inner.solution import WarmStart
from brenier.optimizers.progress import Offsets
from brenier.potential.composition import ComposedFeatures, Composition
from brenier.potential.features import AbstractMap, AbstractPotential, ConvexPotential
from brenier.potential.gaussian import AbstractGaussian
from brenier.program import program
from brenier.training.as_seen import candidate_as_seen
from brenier.training.candidate import Candidate, Trained
from brenier.training.ensemble import original, train_potentials
from brenier.training.families import AbstractFamily
from brenier.training.final_solve import final_solve
from brenier.training.folds import Fold
from brenier.training.noise import noisy_copies
from brenier.training.phases import FITTING, SUMMING
from brenier.training.run import Job, Run, run
from brenier.training.selection import Runner, make_runs
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.function import LEAST_SLACK
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import MOST_TILE, PaddedSample


@dataclass(frozen=True)
class Chain:
    """Potentials trained one by one from one start, each where those before it lead."""

    parts: tuple[Trained, ...]

    @property
    def runs(self) -> list[Run]:
        """All runs, in their order."""
        return [run for part in self.parts for run in part.runs]

    @property
    def hyperparameters(self) -> list[Hyperparameters]:
        """What every potential was trained with."""
        return [part.winner.job.hyperparameters for part in self.parts]

    @property
    def last(self) -> Trained:
        """The last potential that a run found; the first where all are Gaussians."""
        found = [part for part in self.parts if not part.found_nothing]
        return found[-1] if found else self.parts[0]

    @property
    def n_members(self) -> int:
        """Potentials in all of them."""
        return sum(part.chosen.n_members for part in self.parts)

    @property
    def out_of_time(self) -> bool:
        """Whether time was up, or Ctrl-C came."""
        return self.parts[-1].out_of_time

    @property
    def found_nothing(self) -> bool:
        """Whether the first is no better than the Gaussian, so that no other was trained."""
        return self.parts[0].found_nothing


def train_composition(
    fold: Fold, family: AbstractFamily, settings: Settings, session: Session, runner: Runner = run
) -> Trained:
    """Return the best composition found of at most `n_maps` maps, from `n_init` starts.

    Call it where float64 is enabled. A KeyboardInterrupt ends the training and what there is so far
    is returned, with the status saying so.

    Parameters
    ----------
    fold : Fold
        The rows.
    family : AbstractFamily
        What kind of density; every map is of it.
    settings : Settings
        Of every potential, and of training them together; a potential by itself gets no more than
        `rung` iterations.
    session : Session
        The fit's.
    runner : callable
        What makes a run of a job.
    """
    chains = _chains(fold, family, settings, session, runner)
    runs = [run for chain in chains for run in chain.runs]
    candidates = [_before_joint_training(fold, chain) for chain in chains]
    if not chains[-1].out_of_time:
        going_on = [chain for chain in chains if not chain.found_nothing]
        jobs = [_joint_job(fold, chain, family, settings, session) for chain in going_on]
        session.phases.part("all maps")
        session.phases.begin(FITTING, {job.number: job.criteria for job in jobs})
        made = make_runs(jobs, settings, session, runner)
        runs += made
        candidates += _after_joint_training(fold, going_on, jobs, made, settings, session)
    chosen = min(candidates, key=lambda candidate: candidate.criterion)
    winner = chains[0].last.winner if chosen.run is None else original(chosen.run, runs)
    return Trained.of(fold, chosen, runs, winner, session)


def _chains(
    fold: Fold, family: AbstractFamily, settings: Settings, session: Session, runner: Runner
) -> list[Chain]:
    """Return what every start came to; the first start selects the hyperparameters of all."""
    chains: list[Chain] = []
    for start in range(settings.n_init):
        selected = chains[0].hyperparameters if chains and fold.candidates else []
        seed = fold.seed + start * settings.n_maps
        name = f"start {start + 1} of {settings.n_init}, " * (settings.n_init > 1)
        chains.append(_one_by_one(fold, family, settings, session, runner, seed, selected, name))
        if chains[-1].out_of_time:
            break
    return chains


def _one_by_one(
    fold: Fold,
    family: AbstractFamily,
    settings: Settings,
    session: Session,
    runner: Runner,
    seed: int,
    selected: Sequence[Hyperparameters],
    name: str,
) -> Chain:
    """Return potentials, each trained where those before it lead, for a few iterations.

    `name` is what to call the start, before the number of the map.
    """
    own = replace(settings, n_init=1, max_iter=min(settings.rung, settings.max_iter))
    where = _reseeded(fold, seed, selected[:1], settings)
    parts: list[Trained] = []
    while True:
        session.phases.part(f"{name}map {len(parts) + 1} of {settings.n_maps}")
        (part,) = train_potentials([where], family, own, session, runner)
        parts.append(part)
        chain = Chain(tuple(parts))
        if chain.out_of_time or chain.found_nothing or len(parts) == settings.n_maps:
            return chain
        k = len(parts)
        candidates = selected[k : k + 1] or fold.candidates
        after = partial(_after, where, part.map, family, own, seed + k, candidates)
        folds = session.results(after, session.limits.runs)
        if not folds:
            return chain
        (where,) = folds


def _reseeded(
    fold: Fold, seed: int, candidates: Sequence[Hyperparameters], settings: Settings
) -> Fold:
    """Return the fold with another seed, and other candidates if there are any."""
    seen = noisy_copies(fold.split.train, fold.gaussian, fold.noise, seed, settings)
    return replace(fold, seed=seed, seen=seen, candidates=tuple(candidates) or fold.candidates)


def _before_joint_training(fold: Fold, chain: Chain) -> Candidate:
    """Return the potentials one after the other; the last one's losses count all of them."""
    potentials = [potential for part in chain.parts for potential in part.map.potentials]
    last = chain.parts[-1]
    before = (own - of_last for own, of_last in zip(fold.offsets, last.fold.offsets, strict=True))
    losses = (last.chosen.loss, last.chosen.heldout_loss)
    loss, heldout_loss = (offset + J for offset, J in zip(before, losses, strict=True))
    return Candidate(
        Composition(tuple(potentials)),
        loss,
        heldout_loss,
        chain.n_members,
        chain.last.chosen.run,
        is_gaussian=chain.found_nothing,
    )


def _after_joint_training(
    fold: Fold,
    chains: Sequence[Chain],
    jobs: Sequence[Job],
    runs: Sequence[Run],
    settings: Settings,
    session: Session,
) -> list[Candidate]:
    """Return the compositions at the best iterates of the chains' runs, as far as they have any."""
    session.phases.begin(SUMMING)
    n_members = {job.number: c.n_members for job, c in zip(jobs, chains, strict=True)}
    found = [(run, n_members[run.job.number]) for run in runs if run.best is not None]

    def finally_solved() -> list[Candidate]:
        solved = [(final_solve(run, settings), n) for run, n in found]
        return [Candidate.of(fold, _composition(run), n, run) for run, n in solved]

    results = session.results(finally_solved, session.limits.conclusion)
    if results:
        return results[0]
    return [candidate_as_seen(fold, _composition(run), n, run, settings) for run, n in found]


def _composition(run: Run) -> Composition:
    """Return the composition at a run's best iterate."""
    if run.best is None:
        raise ValueError("Expected a run with an iterate; got one that never got anywhere.")
    features = run.job.problem.features(jnp.asarray(run.best.theta))
    potentials = features.with_weights(run.best.w).potentials
    return Composition(jax.tree.map(np.asarray, potentials))


def _joint_job(
    fold: Fold, chain: Chain, family: AbstractFamily, settings: Settings, session: Session
) -> Job:
    """Return the run that trains all potentials of a chain together, from where they are."""
    of_parts = chain.hyperparameters
    hyperparameters = Hyperparameters(
        min(h.decay for h in of_parts), max(h.n_radial for h in of_parts)
    )
    potentials = [_with_features(part.map) for part in chain.parts]
    bounds, ridges = zip(
        *(
            _bounds_and_ridge(family, potential, settings, part.fold.gaussian)
            for potential, part in zip(potentials, chain.parts, strict=True)
        ),
        strict=True,
    )
    problem = VariableProjection(
        ComposedFeatures.of(potentials, bounds[:-1]),
        bounds[-1],
        ridges[-1],
        settings.solver,
        np.asarray(hyperparameters.decay),
        settings.devices,
    )
    # A Gaussian's weights are on their bounds.
    cold = WarmStart.cold(jnp.asarray(np.maximum(potentials[-1].w, bounds[-1] + LEAST_SLACK)))
    number = session.next_run()
    return Job(fold, problem, cold, hyperparameters, settings.criteria, number)


def _with_features(map_: AbstractMap) -> ConvexPotential:
    if isinstance(map_, ConvexPotential):
        return map_
    raise TypeError(f"Expected one potential with features; got {map_}.")


def _bounds_and_ridge(
    family: AbstractFamily,
    potential: ConvexPotential,
    settings: Settings,
    gaussian: AbstractGaussian,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return bounds of a potential's last weights, with room below those that it has, and ridges.

    Those of the family may lie above the weights of a sum.
    """
    lower, ridge = family.bounds_and_ridge(potential.features, settings, gaussian)
    room = np.minimum(lower, settings.w_min * potential.w)
    return np.where(lower > 0.0, room, lower), ridge


def _after(
    fold: Fold,
    map_: AbstractMap,
    family: AbstractFamily,
    settings: Settings,
    seed: int,
    candidates: Sequence[Hyperparameters],
) -> Fold:
    """Return the fold where one more map leads."""
    split, offsets = _image(fold, map_)
    return Fold.of(fold.data, split, offsets, family, settings, seed, candidates=candidates)


def _image(fold: Fold, map_: AbstractMap) -> tuple[Split, Offsets]:
    """Return the rows where one more map leads, and the offsets with its mean log-determinant."""
    (potential,) = map_.potentials
    parts, offsets = [], []
    for rows, offset in zip(fold.split, fold.offsets, strict=True):
        if rows is None:
            parts.append(None)
            offsets.append(offset)
            continue
        images, log_dets = _images(potential, PaddedSample.of(rows.X, rows.weights, MOST_TILE).X)
        N, n = len(rows.X), potential.n
        image = np.moveaxis(np.asarray(images), 1, 2).reshape(-1, n)[:N]
        parts.append(rows.at(np.concatenate([image, rows.X[:, n:]], axis=1)))
        offsets.append(offset + rows.mean(np.asarray(log_dets).ravel()[:N]))
    return Split(*parts), Offsets(*offsets)


@program
def _images(potential: AbstractPotential, tiles: Array) -> tuple[Array, Array]:
    """Return images (C, n, B) and log-determinants (C, B), tile by tile."""

    def image(X: Array) -> tuple[Array, Array]:
        _, z, A = potential.expansion(X)
        return z, A.log_det()

    return jax.lax.map(image, tiles)
