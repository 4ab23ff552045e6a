r"""Simulators whose posteriors can be drawn from exactly.

Parameters theta (n columns) have a uniform prior on a box, and a simulator makes data x (q columns)
of them. Both simulators and their numbers are those of sbibm [1]; SLCP is from [2], and is taken
here without the variance of 1e-6 that sbibm adds to both of its coordinates.

The posterior is drawn from by rejection: candidates come from p(x | theta) normalised over a set
that contains the box, and those outside the box are thrown away. What remains are independent
draws from p(x | theta) 1[theta in box], the posterior itself. There is no chain and no weight.

References
----------
.. [1] J.-M. Lueckmann, J. Boelts, D. S. Greenberg, P. J. Goncalves, J. H. Macke, "Benchmarking
       Simulation-Based Inference", AISTATS 2021, arXiv 2101.04653, appendix T.
.. [2] G. Papamakarios, D. C. Sterratt, I. Murray, "Sequential Neural Likelihood", AISTATS 2019,
       arXiv 1805.07226.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

# Candidates drawn at a time, and in all before a posterior is given up: an observation that no
# theta of the box could plausibly have made.
BATCH = 10_000
MOST = 100_000_000


class AbstractSimulator(ABC):
    """A simulator with a uniform prior on the box (-bound, bound)^n.

    Attributes
    ----------
    name : str
        The name in `SIMULATORS`.
    n_parameters, n_data : int
        Numbers of columns n of theta and q of x.
    bound : float
        Half the width of the prior's box.
    n_independent : int
        Of how many draws, independent and alike given theta, the columns of x consist.
    """

    name: ClassVar[str]
    n_parameters: ClassVar[int]
    n_data: ClassVar[int]
    bound: ClassVar[float]
    n_independent: ClassVar[int] = 1

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """The prior's box, a pair (low, high) for each parameter."""
        return [(-self.bound, self.bound)] * self.n_parameters

    def prior(self, N: int, generator: np.random.Generator) -> np.ndarray:
        """Return N draws of theta from the prior, (N, n)."""
        return generator.uniform(-self.bound, self.bound, size=(N, self.n_parameters))

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Return which rows of theta, (N, n), are in the prior's box."""
        return np.all(np.abs(theta) < self.bound, axis=1)

    def posterior(self, x: np.ndarray, N: int, generator: np.random.Generator) -> np.ndarray:
        """Return N independent draws from p(theta | x), (N, n).

        Parameters
        ----------
        x : (q,)
            The observation.
        N : int
            Number of draws.
        generator : Generator
            Where randomness comes from.

        Raises
        ------
        ValueError
            If x has the wrong shape, or the box holds almost none of the candidates.
        """
        x = np.asarray(x, dtype=float)
        if x.shape != (self.n_data,):
            raise ValueError(f"Expected one observation of shape ({self.n_data},); got {x.shape}.")
        kept, n_kept, n_seen = [], 0, 0
        while n_kept < N:
            if n_seen >= MOST:
                raise ValueError(
                    f"Expected an observation that parameters in the box could have made; got {x}: "
                    f"{n_kept} of {n_seen} candidates were in it."
                )
            theta = self._candidates(x, BATCH, generator)
            kept.append(theta[self.inside(theta)])
            n_kept, n_seen = n_kept + len(kept[-1]), n_seen + BATCH
        return np.concatenate(kept)[:N]

    @abstractmethod
    def simulate(self, theta: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return one simulation x of every row of theta, (N, q)."""

    @abstractmethod
    def log_likelihood(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return log p(x | theta) for every row of theta, (N,), and the observation x, (q,)."""

    @abstractmethod
    def _candidates(self, x: np.ndarray, N: int, generator: np.random.Generator) -> np.ndarray:
        """Return at most N draws from p(x | theta) normalised over a set that contains the box."""


@dataclass(frozen=True)
class TwoMoons(AbstractSimulator):
    r"""Crescents: a posterior of two modes, each a thin half circle.

        x = p + (-|z_1|, z_2),    z = (t_1 + t_2, t_2 - t_1) / sqrt 2,
        p = (r cos a + 1/4, r sin a),    a ~ U(-pi/2, pi/2), r ~ N(0.1, 0.01^2).

    theta -> z is a rotation, and for a given sign of z_1 the map z -> p = x + (|z_1|, -z_2) is
    a reflection or a shift, of determinant +-1 in size. So p(x | theta) as a function of theta is
    the density of p carried over unchanged: draw p and a sign, solve for z. The image of z_1 is
    p_1 >= x_1 only; other p have no theta, and are thrown away too.
    """

    name: ClassVar[str] = "two_moons"
    n_parameters: ClassVar[int] = 2
    n_data: ClassVar[int] = 2
    bound: ClassVar[float] = 1.0
    radius: ClassVar[float] = 0.1
    scale: ClassVar[float] = 0.01
    offset: ClassVar[float] = 0.25

    def simulate(self, theta: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return one simulation x of every row of theta, (N, q)."""
        return self._noise(len(theta), generator) + _folded(theta)

    def log_likelihood(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return log p(x | theta) for every row of theta, (N,), and the observation x, (q,)."""
        u, v = (x - _folded(theta) - [self.offset, 0.0]).T
        r = np.hypot(u, v)
        # p has density N(r; 0.1, 0.01^2) / (pi r) on the half plane u > 0.
        log_radial = -0.5 * ((r - self.radius) / self.scale) ** 2
        normaliser = 0.5 * math.log(2 * math.pi) + math.log(self.scale) + math.log(math.pi)
        return np.where(u > 0, log_radial - np.log(r) - normaliser, -np.inf)

    def _candidates(self, x: np.ndarray, N: int, generator: np.random.Generator) -> np.ndarray:
        p = self._noise(N, generator)
        p = p[p[:, 0] >= x[0]]
        z1 = (p[:, 0] - x[0]) * generator.choice([-1.0, 1.0], size=len(p))
        z2 = x[1] - p[:, 1]
        return np.column_stack([z1 - z2, z1 + z2]) / math.sqrt(2)

    def _noise(self, N: int, generator: np.random.Generator) -> np.ndarray:
        a = generator.uniform(-math.pi / 2, math.pi / 2, size=N)
        r = generator.normal(self.radius, self.scale, size=N)
        return np.column_stack([r * np.cos(a) + self.offset, r * np.sin(a)])


def _folded(theta: np.ndarray) -> np.ndarray:
    """Return (-|z_1|, z_2)."""
    t1, t2 = theta.T
    return np.column_stack([-np.abs(t1 + t2), t2 - t1]) / math.sqrt(2)


@dataclass(frozen=True)
class SLCP(AbstractSimulator):
    r"""Simple likelihood, complex posterior: four draws of a normal in the plane.

        x = (x_1, ..., x_4),    x_k ~ N(m, S),    m = (t_1, t_2),
        S = [[s_1^2, rho s_1 s_2], [rho s_1 s_2, s_2^2]],
        s_1 = t_3^2,    s_2 = t_4^2,    rho = tanh t_5.

    The posterior has four modes at least, since t_3 and t_4 enter by their squares. It is drawn
    from without a chain. Let xbar be the mean of the x_k, A their scatter about it, and let m have
    all of the plane for a moment. Then m | S ~ N(xbar, S / 4), and

        p(S | x) ~ det(S)^(-3/2) exp(-1/2 tr(S^-1 A)).

    With u_i = sqrt(A_ii) / s_i, (u_1, u_2) = R (cos phi, sin phi), w = sin 2 phi, and
    r = A_12 / sqrt(A_11 A_22), the trace is c R^2 with c = (1 - rho r w) / (1 - rho^2). t_3 and t_4
    are +-A_ii^(1/4) u_i^(-1/2), so that the density of (R, phi, t_5) is, up to a constant,

        R^4 w^(3/2) (1 - rho^2)^(-3/2) exp(-c R^2 / 2):

    g = c R^2 / 2 is Gamma(5/2), independent of (phi, t_5), whose density is left as

        q(phi, t_5) ~ w^(3/2) (1 - rho^2) (1 - rho r w)^(-5/2).

    It is drawn from by rejection under an envelope that is constant on the cells of a grid. There
    each factor is at most its value at one of the cell's corners (w and 1 - rho^2 are monotone in
    a cell that pi/4 and 0 do not cut, rho w is bilinear in rho and w). Last, |t_3|, |t_4| and m
    that are outside of the box are thrown away.
    """

    name: ClassVar[str] = "slcp"
    n_parameters: ClassVar[int] = 5
    n_data: ClassVar[int] = 8
    bound: ClassVar[float] = 3.0
    n_independent: ClassVar[int] = 4

    def simulate(self, theta: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return one simulation x of every row of theta, (N, q)."""
        noise = generator.normal(size=(len(theta), 4, 2))
        return (theta[:, None, :2] + _coloured(noise, theta)).reshape(-1, self.n_data)

    def log_likelihood(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return log p(x | theta) for every row of theta, (N,), and the observation x, (q,)."""
        z = (x.reshape(1, 4, 2) - theta[:, None, :2]) / theta[:, None, 2:4] ** 2
        rho = np.tanh(theta[:, 4:])
        squares = (z[..., 0] ** 2 - 2 * rho * z[..., 0] * z[..., 1] + z[..., 1] ** 2).sum(axis=1)
        # log det S = 2 log s_1 + 2 log s_2 + log(1 - rho^2), and s = t^2.
        log_det = 4 * np.log(np.abs(theta[:, 2:4])).sum(axis=1) + np.log1p(-(rho[:, 0] ** 2))
        return -0.5 * squares / (1 - rho[:, 0] ** 2) - 2 * log_det - 4 * math.log(2 * math.pi)

    def _candidates(self, x: np.ndarray, N: int, generator: np.random.Generator) -> np.ndarray:
        points = x.reshape(4, 2)
        mean = points.mean(axis=0)
        A = (points - mean).T @ (points - mean)
        scatter = np.sqrt(np.diag(A))
        correlation = float(A[0, 1] / scatter.prod())
        phi, t5 = _angles(correlation, self.bound, N, generator)
        rho = np.tanh(t5)
        c = (1 - rho * correlation * np.sin(2 * phi)) / (1 - rho**2)
        R = np.sqrt(2 * generator.gamma(2.5, size=len(phi)) / c)
        s = scatter / (R[:, None] * np.column_stack([np.cos(phi), np.sin(phi)]))
        signs = generator.choice([-1.0, 1.0], size=s.shape)
        theta = np.column_stack([np.zeros_like(s), signs * np.sqrt(s), t5])
        noise = generator.normal(size=(len(theta), 1, 2))
        theta[:, :2] = mean + 0.5 * _coloured(noise, theta)[:, 0]
        return theta


# Cells of the envelope, in each direction and on each side of the middle.
CELLS = 128


def _angles(
    correlation: float, bound: float, N: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws (phi, t_5) of SLCP's q, as many as are left of N candidates."""
    phi, t5 = np.linspace(0, math.pi / 2, 2 * CELLS + 1), np.linspace(-bound, bound, 2 * CELLS + 1)
    w, rho = np.sin(2 * phi), np.tanh(t5)
    largest_w = np.maximum(w[:-1], w[1:])
    smallest_rho = np.minimum(np.abs(rho[:-1]), np.abs(rho[1:]))
    gap = 1 - correlation * w[:, None] * rho
    smallest_gap = np.minimum.reduce([gap[:-1, :-1], gap[:-1, 1:], gap[1:, :-1], gap[1:, 1:]])
    envelope = largest_w[:, None] ** 1.5 * (1 - smallest_rho**2) * smallest_gap**-2.5
    cell = generator.choice(envelope.size, size=N, p=(envelope / envelope.sum()).ravel())
    i, j = np.unravel_index(cell, envelope.shape)
    phi = generator.uniform(phi[i], phi[i + 1])
    t5 = generator.uniform(t5[j], t5[j + 1])
    w, rho = np.sin(2 * phi), np.tanh(t5)
    density = w**1.5 * (1 - rho**2) * (1 - correlation * w * rho) ** -2.5
    kept = generator.uniform(size=N) * envelope[i, j] < density
    return phi[kept], t5[kept]


def _coloured(noise: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return standard normal noise (N, k, 2) with SLCP's covariance S of each row of theta."""
    s, rho = theta[:, 2:4] ** 2, np.tanh(theta[:, 4:])
    first = s[:, :1] * noise[..., 0]
    second = s[:, 1:] * (rho * noise[..., 0] + np.sqrt(1 - rho**2) * noise[..., 1])
    return np.stack([first, second], axis=-1)


SIMULATORS: dict[str, AbstractSimulator] = {one.name: one for one in (TwoMoons(), SLCP())}
