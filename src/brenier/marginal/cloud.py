"""The density of any number of columns given the others, by importance sampling."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from brenier.marginal.proposals import NormalMixture, Proposals
from brenier.marginal.slices import AbstractSlice, Free, Nodes
from brenier.marginal.weights import LogMean, log_mean, log_means, normalised

# Rounds in which a proposal is moved at most, points of each, what share of these their effective
# size is where it need not be moved any more, and points that are kept.
MOST_ROUNDS, N_MOVING, GOOD, N_POINTS = 10, 2048, 0.5, 16384
# Points of each of many rows; those with a smaller effective size get a proposal of their own.
N_OF_ROW, LEAST_OF_ROW = 512, 100.0
# Numbers held in memory at once.
MOST_NUMBERS = 1 << 22
# At most so many proposals are made for a draw, in the mean.
MOST_PROPOSED = 100.0


@dataclass(frozen=True)
class Cloud(AbstractSlice):
    """Columns given all others: weighted points.

    Attributes
    ----------
    free : Free
        Which columns, of which density.
    proposal : Proposals
        What the points were drawn from.
    points : (S, m)
        Coordinates of the free columns.
    log_weights : (S,)
        Logarithms of the joint density over the proposal's.
    """

    free: Free
    proposal: Proposals
    points: Float[np.ndarray, "S m"]
    log_weights: Float[np.ndarray, " S"]

    @staticmethod
    def of(free: Free, mixture: NormalMixture, rng: np.random.Generator) -> "Cloud":
        """Return points about the one row of `free`, by a mixture of all columns at first."""
        proposal = mixture.given(free.columns, free.values)
        for _ in range(MOST_ROUNDS):
            points, logs = _drawn(free, proposal, N_MOVING, rng)
            found = log_mean(logs)
            if found.effective_size > GOOD * N_MOVING or not np.isfinite(found.value):
                break
            # Weights of a poor proposal are cut, or one point would move all of it.
            most = found.value + 0.5 * np.log(N_MOVING)
            proposal = proposal.adapted(points, normalised(np.minimum(logs, most)))
        return Cloud(free, proposal, *_drawn(free, proposal, N_POINTS, rng))

    @cached_property
    def mean_weight(self) -> LogMean:
        """The estimate of the integral."""
        return log_mean(self.log_weights)

    @property
    def log_mass(self) -> float:
        """The logarithm of the integral."""
        return self.mean_weight.value

    @property
    def standard_error(self) -> float:
        """Its standard error (nats)."""
        return self.mean_weight.standard_error

    @property
    def effective_size(self) -> float:
        """How many independent draws the points are worth."""
        return self.mean_weight.effective_size

    def nodes(self, j: int) -> Nodes:
        """Return coordinates of the points, and their weights, summing to one."""
        return self.points[:, j], normalised(self.log_weights)

    def quantiles(self, levels: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k m"]:
        """Return weighted quantiles of the points."""
        weights = normalised(self.log_weights)
        return np.column_stack(
            [_weighted_quantiles(column, weights, levels) for column in self.points.T]
        )

    def sample(self, N: int, rng: np.random.Generator) -> Float[np.ndarray, "N m"]:
        """Return draws, by rejection of proposals: all are different.

        The bound is the largest weight of all points so far. A density that exceeds it somewhere
        is drawn from as if it were cut there.
        """
        kept, n_kept = list[np.ndarray](), 0
        bound = min(np.max(self.log_weights), self.log_mass + np.log(MOST_PROPOSED))
        while n_kept < N:
            share = np.exp(self.log_mass - bound)
            points, logs = _drawn(self.free, self.proposal, _lot(N - n_kept, share), rng)
            kept.append(points[np.log(rng.random(len(logs))) < logs - bound])
            n_kept += len(kept[-1])
        return np.concatenate(kept)[:N]


def _lot(N: int, share: float) -> int:
    """Return how many proposals to make for N draws, of which a share is taken."""
    most = 1 << 16
    return int(min(most, np.ceil(1.1 * N / share) + 64))


def log_masses(
    free: Free, mixture: NormalMixture, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return the logarithms of the integrals over the free columns of K rows.

    Returns
    -------
    values, errors, sizes
        Their standard errors (nats) and effective sizes too.
    """
    K, m = len(free.values), len(free.columns)
    proposals = mixture.given(free.columns, free.values)
    values, errors, sizes = np.empty(K), np.empty(K), np.empty(K)
    step = max(1, MOST_NUMBERS // (N_OF_ROW * m * len(mixture.weights)))
    for start in range(0, K, step):
        part = slice(start, start + step)
        own = Free(free.joint, free.columns, free.values[part])
        T = proposals[part].sample(N_OF_ROW, rng)
        which = np.repeat(np.arange(len(own.values)), N_OF_ROW)
        logs = own.log_density(which, T.reshape(-1, m)).reshape(-1, N_OF_ROW)
        found = log_means(logs - proposals[part].log_density(T))
        values[part], errors[part], sizes[part] = found
    for k in np.flatnonzero(sizes < LEAST_OF_ROW):
        cloud = Cloud.of(Free(free.joint, free.columns, free.values[k : k + 1]), mixture, rng)
        values[k], errors[k], sizes[k] = (
            cloud.log_mass,
            cloud.standard_error,
            cloud.effective_size,
        )
    return values, errors, sizes


def _drawn(
    free: Free, proposal: Proposals, S: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "S m"], Float[np.ndarray, " S"]]:
    """Return points of a proposal and the logarithms of their weights."""
    T = proposal.sample(S, rng)
    logs = free.log_density(np.zeros(S, dtype=int), T[0])
    return T[0], logs - proposal.log_density(T)[0]


def _weighted_quantiles(
    values: Float[np.ndarray, " S"],
    weights: Float[np.ndarray, " S"],
    levels: Float[np.ndarray, " k"],
) -> Float[np.ndarray, " k"]:
    """Return quantiles of weighted values, by lines between the middles of their steps."""
    order = np.argsort(values)
    total = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(levels, total, values[order])
