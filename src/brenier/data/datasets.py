r"""Toy distributions whose density, entropy and samples are all known.

The expected loss of any density q on samples of p is at least the entropy of p,

    E_p[-log q(x)] = entropy(p) + KL(p, q) >= entropy(p) = -E_p[log p(x)],

so every fit can be compared with the best there is. The loss J of a convex potential flow leaves
out the constant of the standard normal, and its floor is `best_loss` = entropy - (n/2) log 2 pi.
A test loss below the floor by more than its standard error is an error in the code that
computed it.

Everything is in nats and data units. N is the number of rows, n the number of columns, s the
standard deviation of isotropic Gaussian noise.

Examples
--------
>>> from brenier.data.datasets import Moons
>>> moons = Moons(noise=0.05)
>>> X = moons.sample(1000, random_state=0)
>>> bool(abs(-moons.log_density(X).mean() - moons.entropy()) < 0.05)
True
>>> round(moons.best_loss(), 3)
-1.549

References
----------
.. [1] F. Pedregosa et al., "Scikit-learn: Machine Learning in Python", JMLR 12, 2011 (make_moons).
.. [2] W. Grathwohl, R. T. Q. Chen, J. Bettencourt, I. Sutskever, D. Duvenaud, "FFJORD", 2019,
       arXiv 1810.01367, and its code, lib/toy_data.py (rings, 8gaussians).
.. [3] V. Stimper et al., "normflows: A PyTorch Package for Normalizing Flows", 2023,
       arXiv 2302.12014, distributions/target.py (CircularGaussianMixture).
.. [4] G. Papamakarios, T. Pavlakou, I. Murray, "Masked Autoregressive Flow for Density
       Estimation", 2017, arXiv 1705.07057, Figure 1.
.. [5] L. N. Trefethen, J. A. C. Weideman, "The Exponentially Convergent Trapezoidal Rule",
       SIAM Review 56, 2014.
"""

import math
import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import i0e, logsumexp
from sklearn.datasets import make_moons
from sklearn.utils import check_random_state

LOG_2PI = math.log(2 * math.pi)
# A Gaussian is left out of an integral beyond this many standard deviations: exp(-40.5) = 3e-18.
REACH = 9.0
# An integrand is left out of the arc's integral once it has fallen by exp(-45) = 3e-20; over the
# rest, this many Gauss-Legendre nodes leave a relative error below 1e-11.
DECAY = 45.0
N_ARC_NODES = 32
# kappa stays finite, so that rows too far out for any number have log-density -inf and not NaN.
LARGEST_KAPPA = 1e300


class AbstractDistribution(ABC):
    """A distribution over rows with exact log-density, entropy and sampler.

    Attributes
    ----------
    name : str
        The name in `distributions`.
    n_features : int
        Number of columns n.
    """

    name: ClassVar[str]
    n_features: int

    def log_density(self, X: ArrayLike) -> Float[np.ndarray, " N"]:
        """Return log p(x) of every row, in nats.

        Parameters
        ----------
        X : array-like of shape (N, n)
            Rows in data units.

        Returns
        -------
        log_density : (N,)
            Finite, also far in the tails; -inf only where the logarithm itself is beyond the
            range of double precision.

        Raises
        ------
        ValueError
            If X is not a finite (N, n) table.
        """
        # Squares beyond 1e308 belong to rows whose log-density is -inf.
        with np.errstate(over="ignore"):
            return self._log_density(_checked_rows(X, self.n_features))

    def sample(
        self, n_samples: int, random_state: int | np.random.RandomState
    ) -> Float[np.ndarray, "N n"]:
        """Return new rows, the same for the same seed.

        Parameters
        ----------
        n_samples : int
            Number of rows N, at least one.
        random_state : int or numpy.random.RandomState
            Seed in [0, 2^32), or a generator, which advances.

        Returns
        -------
        X : (N, n)
            In data units.

        Raises
        ------
        ValueError
            If `n_samples` is not a positive integer, or `random_state` no seed.
        """
        return self._sample(_checked_count("n_samples", n_samples), _generator(random_state))

    def entropy(self) -> float:
        """Return the differential entropy -E[log p(x)], in nats.

        In closed form where there is one, otherwise by deterministic quadrature to 1e-6, computed
        at the first call.
        """
        return self._kept_entropy

    def best_loss(self) -> float:
        """Return the floor of the loss without its constant, entropy - (n/2) log 2 pi, in nats."""
        return self.entropy() - 0.5 * self.n_features * LOG_2PI

    @cached_property
    def _kept_entropy(self) -> float:
        return float(self._entropy())

    @abstractmethod
    def _log_density(self, X: np.ndarray) -> np.ndarray:
        """Return log p of checked rows."""

    @abstractmethod
    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        """Return N rows."""

    @abstractmethod
    def _entropy(self) -> float:
        """Compute the entropy."""


@dataclass(frozen=True)
class Moons(AbstractDistribution):
    r"""Two interleaved half circles with Gaussian noise, scikit-learn's `make_moons`.

    With half the mass each, the outer moon is (cos t, sin t) and the inner one
    (1 - cos t, 1/2 - sin t), t uniform in [0, pi], plus N(0, s^2 I). About the centre of its
    circle, and the inner one turned by pi, a moon has the density

        1 / (2 pi^2 s^2) exp(-(rho - 1)^2 / (2 s^2))
            int_0^pi exp(-kappa (1 - cos(t - a))) dt,    kappa = rho / s^2,

    in polar coordinates (rho, a): over the whole circle the integral would be
    2 pi exp(-kappa) I_0(kappa); over the half it is computed by Gauss-Legendre quadrature where
    the integrand is not negligible. The entropy is a sum over a grid of spacing s/4 (seconds at
    s = 0.01, and a number of points that grows as 1/s^2).

    Parameters
    ----------
    noise : float
        Standard deviation s of the noise, positive.
    grid : bool
        Whether samples are `make_moons(N, noise=s, random_state=seed)` to the last bit. Its
        angles are no random draws but the regular grid `linspace(0, pi, .)` on each moon, shuffled,
        with floor(N/2) points on the outer one: averages over such rows scatter less than those
        over independent rows and are off by O(1/N), since both ends of the grid are always there.
        If false, moon and angle of every row are drawn independently. The density is that of
        independent rows in either case.
    """

    name: ClassVar[str] = "moons"
    n_features: ClassVar[int] = 2
    noise: float = 0.05
    grid: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        _check_positive("noise", self.noise)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        outer = _log_half_circle(X, self.noise)
        inner = _log_half_circle(np.array([1.0, 0.5]) - X, self.noise)
        return np.logaddexp(outer, inner) - math.log(2)

    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        if self.grid:
            return np.asarray(make_moons(N, noise=self.noise, random_state=generator)[0])
        inner = generator.randint(2, size=(N, 1))
        t = generator.uniform(0, math.pi, size=N)
        outer = np.column_stack([np.cos(t), np.sin(t)])
        X = np.where(inner == 1, np.array([1.0, 0.5]) - outer, outer)
        return X + generator.normal(scale=self.noise, size=X.shape)

    def _entropy(self) -> float:
        # p is symmetric about (1/2, 1/4): the sum runs over the half x > 1/2.
        h, reach = self.noise / 4, REACH * self.noise
        x = 0.5 + h * (np.arange(math.ceil((1.5 + reach) / h)) + 0.5)
        y = np.arange(-0.5 - reach, 1 + reach + h, h)
        log_p = self.log_density(_grid_points(x, y))
        return -2 * h**2 * float(np.sum(np.exp(log_p) * log_p))


@dataclass(frozen=True)
class EightGaussians(AbstractDistribution):
    r"""Eight equal Gaussians on a circle.

        p(x) = 1/8 sum_k N(x; c_k, s^2 I),    c_k = radius (cos(k pi/4), sin(k pi/4)).

    The default radius 2 is that of normflows [3], whose standard deviation is
    (2/3) sin(pi/8) = 0.255; FFJORD [2] has radius 4/1.414 and standard deviation 0.5/1.414, and
    so the same ratio as `EightGaussians(2, 0.25)`. The default scale 0.2 keeps the modes apart:
    neighbours are 7.7 standard deviations from each other.

    By symmetry the entropy is -E[log p(c_0 + s z)] with z standard normal in two dimensions, summed
    over a grid in z.

    Parameters
    ----------
    radius : float
        Distance of the centres from the origin, positive.
    scale : float
        Standard deviation s of each Gaussian, positive.
    """

    name: ClassVar[str] = "eight-gaussians"
    n_features: ClassVar[int] = 2
    radius: float = 2.0
    scale: float = 0.2

    def __post_init__(self) -> None:
        _check_positive("radius", self.radius)
        _check_positive("scale", self.scale)

    @property
    def centres(self) -> Float[np.ndarray, "8 2"]:
        """The means c_k, counterclockwise from (radius, 0)."""
        angles = np.arange(8) * (math.pi / 4)
        return self.radius * np.column_stack([np.cos(angles), np.sin(angles)])

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        z = (X[:, None, :] - self.centres) / self.scale
        normaliser = LOG_2PI + 2 * math.log(self.scale) + math.log(8)
        return np.asarray(logsumexp(-0.5 * np.sum(z**2, axis=2), axis=1)) - normaliser

    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        centres = self.centres[generator.randint(8, size=N)]
        return centres + generator.normal(scale=self.scale, size=centres.shape)

    def _entropy(self) -> float:
        h = 0.1
        z = np.arange(-REACH, REACH + h, h)
        Z = _grid_points(z, z)
        weights = np.exp(-0.5 * np.sum(Z**2, axis=1) - LOG_2PI) * h**2
        return -float(weights @ self.log_density(self.centres[0] + self.scale * Z))


@dataclass(frozen=True)
class Rings(AbstractDistribution):
    r"""Concentric rings: points uniform on equally likely circles, plus Gaussian noise.

    With rho = |x| and K circles of radii r_k about the origin,

        p(x) = 1/K sum_k 1/(2 pi s^2) exp(-(rho^2 + r_k^2) / (2 s^2)) I_0(rho r_k / s^2).

    The defaults are FFJORD's [2]: 3/4, 3/2, 9/4, 3, noise 0.08 in each coordinate. Here the angles
    are drawn independently; there they lie on a grid. The entropy is an integral over rho, by
    Gauss-Legendre panels half as wide as the noise.

    Parameters
    ----------
    radii : tuple of float
        Radii r_k, positive.
    noise : float
        Standard deviation s of the noise in each coordinate, positive.
    """

    name: ClassVar[str] = "rings"
    n_features: ClassVar[int] = 2
    radii: tuple[float, ...] = (0.75, 1.5, 2.25, 3.0)
    noise: float = 0.08

    def __post_init__(self) -> None:
        if len(self.radii) == 0:
            raise ValueError("Expected at least one radius; got none.")
        for radius in self.radii:
            _check_positive("radii", radius)
        _check_positive("noise", self.noise)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        rho, r = np.hypot(X[:, :1], X[:, 1:]), np.array(self.radii)
        # i0e(k) = exp(-k) I_0(k) leaves the square (rho - r)^2, whatever the size of k.
        log_bessel = np.log(i0e(np.minimum(rho * r / self.noise**2, LARGEST_KAPPA)))
        log_rings = log_bessel - 0.5 * ((rho - r) / self.noise) ** 2
        normaliser = LOG_2PI + 2 * math.log(self.noise) + math.log(len(r))
        return np.asarray(logsumexp(log_rings, axis=1)) - normaliser

    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        r = np.array(self.radii)[generator.randint(len(self.radii), size=N)]
        t = generator.uniform(0, 2 * math.pi, size=N)
        X = np.column_stack([r * np.cos(t), r * np.sin(t)])
        return X + generator.normal(scale=self.noise, size=X.shape)

    def _entropy(self) -> float:
        low = max(0.0, min(self.radii) - REACH * self.noise)
        high = max(self.radii) + REACH * self.noise
        rho, weights = _panels(low, high, math.ceil(2 * (high - low) / self.noise))
        log_p = self.log_density(np.column_stack([rho, np.zeros_like(rho)]))
        return -2 * math.pi * float(weights @ (rho * np.exp(log_p) * log_p))


@dataclass(frozen=True)
class CorrelatedGaussian(AbstractDistribution):
    r"""A normal distribution with unit variances and covariance c^|i-j|, of an AR(1) process.

        x_1 ~ N(0, 1),    x_i | x_{i-1} ~ N(c x_{i-1}, 1 - c^2),
        entropy = (n/2) log(2 pi e) + ((n-1)/2) log(1 - c^2).

    Parameters
    ----------
    n_features : int
        Number of columns n.
    correlation : float
        Correlation c of neighbouring columns, -1 < c < 1.
    """

    name: ClassVar[str] = "correlated-gaussian"
    n_features: int
    correlation: float = 0.9

    def __post_init__(self) -> None:
        _checked_count("n_features", self.n_features)
        if not abs(self.correlation) < 1:
            raise ValueError(f"Expected -1 < correlation < 1; got {self.correlation}.")

    @property
    def _innovation(self) -> float:
        """Variance of x_i given x_{i-1}."""
        return (1 - self.correlation) * (1 + self.correlation)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        first = X[:, 0] ** 2
        rest = np.sum((X[:, 1:] - self.correlation * X[:, :-1]) ** 2, axis=1) / self._innovation
        log_det = (self.n_features - 1) * math.log(self._innovation)
        return -0.5 * (first + rest + log_det + self.n_features * LOG_2PI)

    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        X = generator.normal(size=(N, self.n_features))
        X[:, 1:] *= math.sqrt(self._innovation)
        for i in range(1, self.n_features):
            X[:, i] += self.correlation * X[:, i - 1]
        return X

    def _entropy(self) -> float:
        n = self.n_features
        return 0.5 * n * (LOG_2PI + 1) + 0.5 * (n - 1) * math.log(self._innovation)


@dataclass(frozen=True)
class MAFMoon(AbstractDistribution):
    r"""The crescent on which a masked autoregressive flow depends on the order of columns [4].

        x_2 ~ N(0, 4),    x_1 | x_2 ~ N(x_2^2 / 4, 1),    columns (x_1, x_2).

    The second number of N is the variance, as in the paper; some implementations take 4 for the
    standard deviation. x -> (x_1 - x_2^2 / 4, x_2) has determinant one, so the entropy is
    1 + log 2 pi + log 2.
    """

    name: ClassVar[str] = "maf-moon"
    n_features: ClassVar[int] = 2

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        x1, x2 = X.T
        return -0.5 * ((x1 - x2**2 / 4) ** 2 + (x2 / 2) ** 2) - LOG_2PI - math.log(2)

    def _sample(self, N: int, generator: np.random.RandomState) -> np.ndarray:
        x2 = generator.normal(scale=2.0, size=N)
        return np.column_stack([x2**2 / 4 + generator.normal(size=N), x2])

    def _entropy(self) -> float:
        return 1 + LOG_2PI + math.log(2)


def distributions() -> dict[str, AbstractDistribution]:
    """Return every toy distribution, with its default settings, by name.

    The Gaussian has five columns, the others two.
    """
    found = (Moons(), EightGaussians(), Rings(), CorrelatedGaussian(5), MAFMoon())
    return {distribution.name: distribution for distribution in found}


def _log_half_circle(X: Float[np.ndarray, "N 2"], noise: float) -> Float[np.ndarray, " N"]:
    """Return the log-density of (cos t, sin t) + N(0, noise^2 I), t uniform in [0, pi]."""
    rho, a = np.hypot(X[:, 0], X[:, 1]), np.arctan2(X[:, 1], X[:, 0])
    kappa = np.minimum(rho / noise**2, LARGEST_KAPPA)
    normaliser = math.log(math.pi) + LOG_2PI + 2 * math.log(noise)
    return _log_arc(a, kappa) - 0.5 * ((rho - 1) / noise) ** 2 - normaliser


def _log_arc(
    a: Float[np.ndarray, " N"],
    kappa: Float[np.ndarray, " N"],
    *,
    decay: float = DECAY,
    n_nodes: int = N_ARC_NODES,
) -> np.ndarray:
    r"""Return log int_0^pi exp(-kappa (1 - cos(t - a))) dt, a in [-pi, pi], kappa >= 0.

    In u = |t - a|, folded into [0, pi], the integrand exp(-2 kappa sin^2(u/2)) decreases. Inside
    the arc (a >= 0) u covers [0, a] and [0, pi - a]; outside, at an angle b from the nearer end,
    it covers [b, pi] and [pi - b, pi]. The largest value goes before the logarithm, and the second
    interval begins exp(-2 kappa cos b) lower.
    """
    inside = a >= 0
    b = np.where(inside, 0.0, np.minimum(-a, math.pi + a))
    own, rest = np.where(inside, a, b), np.where(inside, 0.0, math.pi - b)
    near = _decaying_integral(b, math.pi - own, kappa, decay, n_nodes)
    far = _decaying_integral(rest, own, kappa, decay, n_nodes)
    drop = np.where(inside, 0.0, 2 * kappa * np.cos(b))
    return np.log(near + np.exp(-drop) * far) - 2 * kappa * np.sin(b / 2) ** 2


def _decaying_integral(
    low: np.ndarray, width: np.ndarray, kappa: np.ndarray, decay: float, n_nodes: int
) -> np.ndarray:
    """Return int_0^width exp(-2 kappa sin(low + h/2) sin(h/2)) dh, for low + width <= pi.

    The integrand is exp(-2 kappa sin^2(u/2)), u = low + h, relative to its value at h = 0.
    """
    width = np.minimum(width, _reach(low, kappa, decay))
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    total = np.zeros_like(width)
    # One pass per node: memory stays that of a few columns, however many rows there are.
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        half = 0.5 * node * width
        total += weight * np.exp(-2 * kappa * np.sin(low + half) * np.sin(half))
    return width * total


def _reach(low: np.ndarray, kappa: np.ndarray, decay: float) -> np.ndarray:
    """Return the least h > 0 with kappa (cos(low) - cos(low + h)) = decay, or pi without one.

    In t = tan(h/2) this is (cos(low) - q) t^2 + sin(low) t - q = 0, q = decay / (2 kappa), whose
    smaller positive root is taken in the form that loses no digits.
    """
    # Up to kappa = decay / 2 there is no root; the 1 keeps q finite at kappa = 0.
    q = decay / (2 * np.maximum(kappa, 1.0))
    discriminant = np.sin(low) ** 2 + 4 * q * (np.cos(low) - q)
    root = np.sqrt(np.maximum(discriminant, 0.0))
    return np.where(discriminant < 0, math.pi, 2 * np.arctan2(2 * q, np.sin(low) + root))


def _grid_points(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, "N 2"]:
    """Return all pairs of x and y as rows."""
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)


def _panels(low: float, high: float, n_panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss-Legendre quadrature, 16 nodes on each equal panel."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = (high - low) / (2 * n_panels)
    middles = low + half * (2 * np.arange(n_panels) + 1)
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, n_panels)


def _checked_rows(X: ArrayLike, n: int) -> Float[np.ndarray, "N n"]:
    try:
        rows = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected a table of numbers; got one with {error}.") from error
    if rows.ndim != 2 or rows.shape[1] != n:
        raise ValueError(f"Expected an array of shape (N, {n}), one row a point; got {rows.shape}.")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ValueError(
            f"Expected finite numbers; got NaN or infinity in {len(bad)} of {len(rows)} rows "
            f"(first: row {bad[0]}; rows count from 0)."
        )
    return rows


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"Expected {name} positive and finite; got {value}.")


def _checked_count(name: str, value: int) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"Expected {name} an integer of at least 1; got {value!r}.")
    return int(value)


def _generator(random_state: int | np.random.RandomState) -> np.random.RandomState:
    if isinstance(random_state, np.random.RandomState):
        return random_state
    if isinstance(random_state, numbers.Integral) and 0 <= random_state < 2**32:
        return check_random_state(int(random_state))
    raise ValueError(
        "Expected random_state a seed in [0, 2^32) or a numpy.random.RandomState; got "
        f"{random_state!r}."
    )
