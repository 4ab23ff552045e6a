"""Neural posterior estimation: zuko's spline flow of parameters given data.

A tenth of the simulations is held out. The runs of `zuko_flows`, one for each learning rate,
are made twice: on the parameters as they are, where draws outside of the prior's box are thrown
away and made anew, as is usual; and on their logits, which have no box. The one with the highest
density of the held-out parameters is kept. Parameters (or logits) and data are standardised.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.special import expit, logit
from zuko.flows import NSF, Flow

from benchmarks.peers.protocol import Posterior, Simulations, check_found, draws_inside
from benchmarks.peers.zuko_flows import RATES, THREADS, Recipe, train_at

HELD_OUT = 0.1
BATCH, PATIENCE = 128, 20
# Draws at each held-out row that tell how much of a density is inside of the box.
LEAK_DRAWS = 100


@dataclass(frozen=True)
class AbstractCoordinates(ABC):
    """Standardised coordinates of parameters in the box between `low` and `high`."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, low: np.ndarray, high: np.ndarray, theta: np.ndarray) -> "AbstractCoordinates":
        """Return the coordinates in which these parameters have mean 0 and deviation 1."""
        plain = cls(low, high, np.zeros_like(low), np.ones_like(low))
        Z = plain(theta)
        return cls(low, high, Z.mean(axis=0), Z.std(axis=0))

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Return the coordinates of parameters, (N, n)."""
        return (self._free(theta) - self.mean) / self.scale

    def inverse(self, Z: np.ndarray) -> np.ndarray:
        """Return the parameters of coordinates, (N, n)."""
        return self._bounded(self.mean + self.scale * Z)

    def log_det(self, theta: np.ndarray) -> np.ndarray:
        """Return the log-determinant of the coordinates' Jacobian, (N,)."""
        return self._log_slope(theta) - np.log(self.scale).sum()

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Return which parameters, (N, n), are inside of the box."""
        return np.all((theta > self.low) & (theta < self.high), axis=1)

    @abstractmethod
    def _free(self, theta: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _bounded(self, free: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _log_slope(self, theta: np.ndarray) -> np.ndarray: ...


class Plain(AbstractCoordinates):
    """The parameters themselves."""

    def _free(self, theta: np.ndarray) -> np.ndarray:
        return theta

    def _bounded(self, free: np.ndarray) -> np.ndarray:
        return free

    def _log_slope(self, theta: np.ndarray) -> np.ndarray:
        return np.zeros(len(theta))


class Logit(AbstractCoordinates):
    """The logits of the parameters' places in the box."""

    def _free(self, theta: np.ndarray) -> np.ndarray:
        return logit((theta - self.low) / (self.high - self.low))

    def _bounded(self, free: np.ndarray) -> np.ndarray:
        return self.low + (self.high - self.low) * expit(free)

    def _log_slope(self, theta: np.ndarray) -> np.ndarray:
        width = self.high - self.low
        return np.log(width / ((theta - self.low) * (self.high - theta))).sum(axis=1)


@dataclass(frozen=True)
class Candidate:
    """A fitted flow in its coordinates, and the held-out log-density that it reached."""

    flow: Flow
    coordinates: AbstractCoordinates
    rate: float
    score: float

    def draw(self, x: np.ndarray, N: int) -> np.ndarray:
        """Return N draws at standardised data x, (q,), all of them inside of the box."""
        return draws_inside(
            lambda size: self.coordinates.inverse(_sample(self.flow, x[None], size)[0]),
            self.coordinates.inside,
            N,
        )


def npe(simulations: Simulations, seed: int) -> Posterior:
    """Fit a conditional neural spline flow of theta given its data."""
    torch.set_num_threads(THREADS)
    theta, X, bounds = simulations
    low, high = np.array(bounds).T
    n_train = len(theta) - round(HELD_OUT * len(theta))
    mean, scale = X[:n_train].mean(axis=0), X[:n_train].std(axis=0)
    X = (X - mean) / scale
    candidates = [
        candidate
        for kind in (Plain, Logit)
        for candidate in _candidates(kind.of(low, high, theta[:n_train]), theta, X, n_train, seed)
    ]
    best = max(candidates, key=lambda candidate: candidate.score)
    check_found(best.score)
    torch.manual_seed(seed)
    return Posterior(
        lambda x, N: best.draw((x - mean) / scale, N),
        {"coordinates": type(best.coordinates).__name__.lower(), "learning rate": best.rate},
    )


def _candidates(
    coordinates: AbstractCoordinates, theta: np.ndarray, X: np.ndarray, n_train: int, seed: int
) -> list[Candidate]:
    """Return what the run of each learning rate found; `n_train` rows are to train on."""
    n, q = theta.shape[1], X.shape[1]
    rows = torch.tensor(np.hstack([coordinates(theta), X]), dtype=torch.float32)
    train, valid = rows[:n_train], rows[n_train:]
    recipe = Recipe(
        lambda _: NSF(n, q, transforms=3, hidden_features=(64, 64), bins=8),
        BATCH,
        PATIENCE,
        partial(_log_prob, n),
    )
    log_det = coordinates.log_det(theta[n_train:]).mean()
    candidates = []
    for rate in RATES:
        found = train_at(recipe, train, valid, rate, seed, lambda: 0.0)
        flow = recipe.build(n)
        flow.load_state_dict(found.weights)
        # Draws outside are made anew, which raises the density inside.
        leak = _log_kept(flow, coordinates, X[n_train:])
        candidates.append(Candidate(flow, coordinates, rate, log_det - found.loss - leak))
    return candidates


def _log_prob(n: int, flow: Flow, rows: torch.Tensor) -> torch.Tensor:
    return flow(rows[:, n:]).log_prob(rows[:, :n])


def _log_kept(flow: Flow, coordinates: AbstractCoordinates, X: np.ndarray) -> float:
    """Return the mean logarithm of the share of draws that is inside of the box."""
    Z = _sample(flow, X, LEAK_DRAWS)
    inside = coordinates.inside(coordinates.inverse(Z.reshape(-1, Z.shape[2])))
    # Half a draw more, so that no row has none.
    share = (inside.reshape(len(X), -1).sum(axis=1) + 0.5) / (LEAK_DRAWS + 0.5)
    return float(np.log(share).mean())


@torch.no_grad()
def _sample(flow: Flow, X: np.ndarray, N: int) -> np.ndarray:
    """Return N draws in the flow's coordinates at every row of X, (rows, N, n)."""
    draws = flow(torch.tensor(X, dtype=torch.float32)).sample((N,))
    return draws.double().numpy().swapaxes(0, 1)
