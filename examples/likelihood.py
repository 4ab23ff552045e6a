r"""Draws of a posterior from a likelihood: sequential Monte Carlo from the prior's box.

The target is p(theta | x) ~ p(x | theta) 1[theta in box], where log p(x | theta) is any function of
rows of theta: one that a `ConditionalConvexPotentialFlow` of x given theta has learnt, or a known
one. A population of rows goes through the densities

    pi_b(theta) ~ p(x | theta)^b 1[theta in box],    0 = b_0 < b_1 < ... < b_K = 1,

from the prior to the posterior [1]. From b to the next b' rows are drawn anew by the weights
p(x | theta)^(b' - b), where b' is such that these are worth half as many equal ones [2]. Then every
row is moved by Metropolis steps that leave pi_b' as it is and learn from the population's other
half where it is: to a draw of a Gaussian mixture fitted to it, which leads from mode to mode; and
along the difference of two of its rows [3], which needs no shape.

References
----------
.. [1] P. Del Moral, A. Doucet, A. Jasra, "Sequential Monte Carlo samplers", Journal of the Royal
       Statistical Society B 68(3), 2006.
.. [2] A. Jasra, D. A. Stephens, A. Doucet, T. Tsagaris, "Inference for Levy-Driven Stochastic
       Volatility Models via Adaptive Sequential Monte Carlo", Scandinavian Journal of Statistics
       38(1), 2011.
.. [3] C. J. F. ter Braak, "A Markov Chain Monte Carlo version of the genetic algorithm
       Differential Evolution", Statistics and Computing 16, 2006.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

LogLikelihood = Callable[[np.ndarray], np.ndarray]

# Rows of the population, if no more draws are asked for.
LEAST_ROWS = 4000
# Of the population, what the weights from one density to the next are worth.
WORTH = 0.5
# Steps of every row for each density, to a draw of the mixture and along a difference; for the
# last density, three times as many.
JUMPS, WALKS, LAST = 5, 3, 3
# A rough fit is enough for steps that are accepted or not.
COMPONENTS, ITERATIONS, TOLERANCE, RIDGE = 16, 20, 1e-2, 1e-9
# The shortest step along a difference, as a share of ter Braak's 2.38 / sqrt(2 n): thin posteriors
# want short ones too.
SHORTEST = 0.05


@dataclass(frozen=True)
class Population:
    """Rows of theta, (N, n), and their log-likelihoods, (N,)."""

    theta: np.ndarray
    log_likelihood: np.ndarray

    def take(self, rows: np.ndarray) -> "Population":
        """Return some of the rows."""
        return Population(self.theta[rows], self.log_likelihood[rows])

    def halves(self, generator: np.random.Generator) -> tuple["Population", "Population"]:
        """Return two halves, drawn by lot."""
        first, second = np.array_split(generator.permutation(len(self.theta)), 2)
        return self.take(first), self.take(second)

    def with_rows_of(self, other: "Population") -> "Population":
        """Return both populations' rows."""
        return Population(
            np.concatenate([self.theta, other.theta]),
            np.concatenate([self.log_likelihood, other.log_likelihood]),
        )


def posterior(
    log_likelihood: LogLikelihood,
    bounds: Sequence[tuple[float, float]],
    N: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return N draws from p(theta | x) under a uniform prior on a box, (N, n).

    They are nearly independent: rows that were drawn more than once have moved apart.

    Parameters
    ----------
    log_likelihood : callable
        Returns log p(x | theta) of every row of theta, (M, n), up to a constant; minus infinity is
        allowed. It is called for some 60 times as many rows as there are draws, or as 4000.
    bounds : sequence of pairs
        The prior's box, a pair (low, high) for each parameter.
    N : int
        Number of draws.
    generator : Generator
        Where randomness comes from.

    Raises
    ------
    ValueError
        If none of the prior's draws can have made the observation.
    """
    low, high = np.array(bounds, dtype=float).T
    target = _Target(log_likelihood, low, high, generator)
    population, power = target.prior(max(N, LEAST_ROWS)), 0.0
    while power < 1:
        rise = _rise(population.log_likelihood, 1 - power)
        power = 1.0 if rise == 1 - power else power + rise
        population = population.take(_drawn(rise * population.log_likelihood, generator))
        for _ in range(LAST if power == 1 else 1):
            population = target.moved(population, power)
    return generator.permutation(population.theta)[:N]


def _rise(log_likelihood: np.ndarray, most: float) -> float:
    """Return by how much the power can rise: all that is missing, or less by the weights' worth."""
    possible = log_likelihood[np.isfinite(log_likelihood)]
    if not len(possible):
        raise ValueError(
            "Expected a likelihood that is positive for some of the prior's draws; got none in "
            f"{len(log_likelihood)}. Look whether the observation and the box are right."
        )

    def surplus(rise: float) -> float:
        return _worth(rise * possible) - WORTH * len(possible)

    return most if surplus(most) >= 0 else root_scalar(surplus, bracket=(0.0, most)).root


def _worth(log_weights: np.ndarray) -> float:
    """Return how many equally weighted rows the weights are worth: (sum w)^2 / sum w^2."""
    weights = np.exp(log_weights - log_weights.max())
    return weights.sum() ** 2 / np.sum(weights**2)


def _drawn(log_weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return as many rows as there are weights, drawn by these, systematically."""
    weights = np.exp(log_weights - log_weights.max())
    N, total = len(weights), np.cumsum(weights)
    points = (np.arange(N) + generator.uniform()) / N
    return np.minimum(np.searchsorted(total / total[-1], points), N - 1)


@dataclass(frozen=True)
class _Target:
    """The posterior's density, and steps that leave its powers as they are."""

    log_likelihood: LogLikelihood
    low: np.ndarray
    high: np.ndarray
    generator: np.random.Generator

    def prior(self, N: int) -> Population:
        """Return draws of the prior."""
        return self.at(self.generator.uniform(self.low, self.high, size=(N, len(self.low))))

    def at(self, theta: np.ndarray) -> Population:
        """Return rows with their log-likelihoods, minus infinity outside of the box."""
        values = np.full(len(theta), -np.inf)
        inside = np.all((theta > self.low) & (theta < self.high), axis=1)
        values[inside] = self.log_likelihood(theta[inside])
        # No number is no likelihood.
        values[np.isnan(values)] = -np.inf
        return Population(theta, values)

    def moved(self, population: Population, power: float) -> Population:
        """Return the population after steps of every row, half after half."""
        first, second = population.halves(self.generator)
        first = self._stepped(first, second.theta, power)
        second = self._stepped(second, first.theta, power)
        return first.with_rows_of(second)

    def _stepped(self, population: Population, others: np.ndarray, power: float) -> Population:
        """Return a half after steps that learn from the other."""
        mixture = _mixture(others, self.generator)
        for _ in range(JUMPS):
            proposed = self.at(self.generator.permutation(mixture.sample(len(population.theta))[0]))
            log_density = [mixture.score_samples(one.theta) for one in (population, proposed)]
            population = self._chosen(population, proposed, power, *log_density)
        for _ in range(WALKS):
            proposed = self.at(population.theta + self._differences(others, len(population.theta)))
            population = self._chosen(population, proposed, power)
        return population

    def _differences(self, others: np.ndarray, N: int) -> np.ndarray:
        """Return differences of N pairs of rows, shortened."""
        M, n = others.shape
        j = self.generator.integers(M, size=N)
        k = (j + self.generator.integers(1, M, size=N)) % M
        share = SHORTEST ** self.generator.uniform(size=(N, 1))
        return share * 2.38 / np.sqrt(2 * n) * (others[j] - others[k])

    def _chosen(
        self,
        current: Population,
        proposed: Population,
        power: float,
        log_current: np.ndarray | float = 0.0,
        log_proposed: np.ndarray | float = 0.0,
    ) -> Population:
        """Return what Metropolis and Hastings choose, given the proposals' log-densities."""
        possible = np.isfinite(proposed.log_likelihood)
        with np.errstate(invalid="ignore"):
            gain = power * (proposed.log_likelihood - current.log_likelihood)
        gain += log_current - log_proposed
        taken = possible & (gain > -self.generator.exponential(size=len(gain)))
        return Population(
            np.where(taken[:, None], proposed.theta, current.theta),
            np.where(taken, proposed.log_likelihood, current.log_likelihood),
        )


def _mixture(theta: np.ndarray, generator: np.random.Generator) -> GaussianMixture:
    """Return a Gaussian mixture, roughly fitted."""
    mixture = GaussianMixture(
        COMPONENTS,
        init_params="k-means++",
        max_iter=ITERATIONS,
        tol=TOLERANCE,
        reg_covar=RIDGE,
        random_state=np.random.RandomState(generator.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(theta)
