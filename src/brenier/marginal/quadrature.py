r"""Many integrals over a line at once, of functions that are known by their logarithms.

    Z_k = int exp(g_k(t)) dt,    k = 1, ..., K.

Panels are bisected until the rules of Gauss and Kronrod, of 7 and 15 nodes [1]_, agree in each to
a share of the whole. All panels of all integrals are evaluated together, since g is a compiled
program that works on batches: SciPy's `quad_vec` and `cubature` call it panel by panel, and see
exp(g), which is zero for a mode between two nodes. Here a panel is left out only where no mode can
hide in it, as seen from its nodes: where g is concave it lies, between two of them, below the lines
through their neighbours (as in adaptive rejection sampling [2]_), and so below where these meet.

References
----------
.. [1] R. Piessens, E. de Doncker-Kapenga, C. W. Ueberhuber, D. K. Kahaner, "QUADPACK", Springer,
       1983.
.. [2] W. R. Gilks, P. Wild, "Adaptive Rejection Sampling for Gibbs Sampling", Applied Statistics
       41(2), 1992.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.polynomial import legendre
from scipy.special import logsumexp

# Which of the integrals, and where, to g there.
LogFunction = Callable[[Int[np.ndarray, " M"], Float[np.ndarray, " M"]], Float[np.ndarray, " M"]]

# The positive nodes of Kronrod's rule, its weights, and those of Gauss's, whose nodes are every
# other of them.
NODES = (0.991455371120812639206854697526329, 0.949107912342758524526189684047851)
NODES += (0.864864423359769072789712788640926, 0.741531185599394439863864773280788)
NODES += (0.586087235467691130294144691693013, 0.405845151377397166906606412076961)
NODES += (0.207784955007898467600689403773245, 0.0)
KRONROD = (0.022935322010529224963732008058970, 0.063092092629978553290700663189204)
KRONROD += (0.104790010322250183839876322541518, 0.140653259715525918745189590510238)
KRONROD += (0.169004726639267902826583426598550, 0.190350578064785409913256402421014)
KRONROD += (0.204432940075298892414161999234649, 0.209482141084727828012999174891714)
GAUSS = (0.129484966168869693270611432679082, 0.279705391489276667901467771423780)
GAUSS += (0.381830050505118944950369775488975, 0.417959183673469387755102040816327)

# The share of an integral by which the two rules may differ in a panel. Kronrod's is right to some
# more digits than they agree in.
TOLERANCE = 1e-8
# What is less than the whole by such a factor (nats) is nothing; below such a logarithm all is.
NEGLIGIBLE, NOTHING = 35.0, -1e9
# A mode that is so much higher than all nodes (nats) is one that they have not seen.
HIDDEN = 1.0
# Halvings at most, and those of a quantile's place in its panel.
MOST_ROUNDS, HALVINGS = 60, 60
# Edges of equal mass and of equal width; the widest panel outside of them, in widths of all these.
N_EDGES, MOST_OUTSIDE = 10, 1e4
# Integrals that are worked on together.
TOGETHER = 1 << 11


def _mirrored(positive: tuple[float, ...], sign: float) -> Float[np.ndarray, " n"]:
    """Return numbers of a rule that is symmetric about its last, middle one."""
    half = np.array(positive)
    return np.concatenate([sign * half, half[-2::-1]])


X15, W15, W7 = _mirrored(NODES, -1.0), _mirrored(KRONROD, 1.0), _mirrored(GAUSS, 1.0)
_OF_GAUSS, _OTHERS = np.arange(1, len(X15), 2), np.arange(0, len(X15), 2)
X7 = X15[_OF_GAUSS]
# From values at the nodes to the Legendre series of their polynomial's integral from -1 on.
_INTEGRAL = legendre.legint(np.linalg.inv(legendre.legvander(X15, len(X15) - 1)), lbnd=-1)


@dataclass(frozen=True)
class Panels:
    """Panels of K integrals, those of each from left to right, without those that add nothing.

    Attributes
    ----------
    which : (P,)
        Of which integral a panel is.
    left, right : (P,)
        Its ends.
    logs : (P, 15)
        g at its nodes.
    K : int
        How many integrals there are.
    """

    which: Int[np.ndarray, " P"]
    left: Float[np.ndarray, " P"]
    right: Float[np.ndarray, " P"]
    logs: Float[np.ndarray, "P 15"]
    K: int

    @property
    def nodes(self) -> Float[np.ndarray, "P 15"]:
        """Where the functions are known."""
        return _places(self.left[:, None], self.right[:, None], X15)

    @cached_property
    def log_integrals(self) -> Float[np.ndarray, " K"]:
        """The logarithms of the integrals; minus infinity where nothing was found."""
        return _log_sums(self.which, _log_masses(self.left, self.right, self.logs, W15), self.K)

    @cached_property
    def shares(self) -> Float[np.ndarray, "P 15"]:
        """What part of its integral every node stands for."""
        log_widths = np.log(0.5 * (self.right - self.left))
        relative = self.logs + (log_widths - self.log_integrals[self.which])[:, None]
        return np.exp(relative) * W15

    def quantiles(
        self, which: Int[np.ndarray, " M"], levels: Float[np.ndarray, " M"]
    ) -> Float[np.ndarray, " M"]:
        """Return below which t the given shares of the given integrals lie."""
        masses = self.shares.sum(axis=1)
        total = np.cumsum(masses)
        # Where every integral's panels begin, and the running sum before them.
        first = np.searchsorted(self.which, np.arange(self.K))
        before = np.concatenate([[0.0], total])[first]
        goal = before[which] + levels
        last = np.searchsorted(self.which, which, side="right") - 1
        panel = np.clip(np.searchsorted(total, goal), first[which], last)
        rest = goal - (total[panel] - masses[panel])
        return self._inside(panel, rest)

    def _inside(
        self, panel: Int[np.ndarray, " M"], mass: Float[np.ndarray, " M"]
    ) -> Float[np.ndarray, " M"]:
        """Return where in their panels so much has been left behind, by halving."""
        half = 0.5 * (self.right - self.left)[panel]
        values = self.shares[panel] / W15
        series = _INTEGRAL @ values.T
        low, high = -np.ones(len(panel)), np.ones(len(panel))
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            below = legendre.legval(middle, series, tensor=False) < mass
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return self.left[panel] + half * (1.0 + 0.5 * (low + high))


def integrate(log_function: LogFunction, K: int, edges: Float[np.ndarray, " E"]) -> Panels:
    """Return the panels of K integrals over the line.

    Parameters
    ----------
    log_function : callable
        Which integrals (M,), and where (M,), to g there (M,); minus infinity where exp(g) is zero.
    K : int
        How many integrals.
    edges : (E,)
        Ends of the panels that are begun with, rising. Others follow outside as long as they count.
        No mode may be so narrow that several lie between two nodes, some 10 in a panel.
    """
    parts = [
        _integrate(_shifted(log_function, start), min(TOGETHER, K - start), edges, start)
        for start in range(0, max(K, 1), TOGETHER)
    ]
    which, left, right, logs = (np.concatenate(lists) for lists in zip(*parts, strict=True))
    return Panels(which, left, right, logs, K)


def _shifted(log_function: LogFunction, start: int) -> LogFunction:
    return lambda which, t: log_function(which + start, t)


def _integrate(
    log_function: LogFunction, K: int, edges: Float[np.ndarray, " E"], start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return which, left, right and logs of all panels that count, counted from `start` on."""
    which = np.repeat(np.arange(K), len(edges) - 1)
    left, right = np.tile(edges[:-1], K), np.tile(edges[1:], K)
    narrowest = np.finfo(float).eps * np.max(np.abs(edges))
    outside = _Outside(K, edges)
    pool = _Pool.of(log_function, which, left, right)
    for _ in range(MOST_ROUNDS):
        waking = pool.waking(K)
        new = outside.beyond(*pool.ends(waking))
        pool = pool.completed(log_function, waking)
        rough, children = pool.split(K, narrowest)
        new = [np.concatenate(pair) for pair in zip(new, children, strict=True)]
        if not len(new[0]) and not waking.any():
            break
        pool = pool.without(rough).joined(_Pool.of(log_function, *new))
    kept = pool.without(~pool.complete)
    order = np.lexsort((kept.left, kept.which))
    which, left, right, logs = kept.which, kept.left, kept.right, kept.logs
    return which[order] + start, left[order], right[order], logs[order]


class _Pool(NamedTuple):
    """All panels; of some g is known at the nodes of Gauss's rule only.

    Attributes
    ----------
    which, left, right, logs : (P,), (P,), (P,), (P, 15)
        As of `Panels`; NaN where g is not known.
    complete : (P,)
        Of which panels g is known at all nodes.
    most : (P,)
        The logarithm of what a panel's integral is at most.
    """

    which: Int[np.ndarray, " P"]
    left: Float[np.ndarray, " P"]
    right: Float[np.ndarray, " P"]
    logs: Float[np.ndarray, "P 15"]
    complete: Bool[np.ndarray, " P"]
    most: Float[np.ndarray, " P"]

    @staticmethod
    def of(
        log_function: LogFunction,
        which: Int[np.ndarray, " P"],
        left: Float[np.ndarray, " P"],
        right: Float[np.ndarray, " P"],
    ) -> "_Pool":
        """Return panels at whose Gauss nodes g is evaluated."""
        logs = np.full((len(which), len(X15)), np.nan)
        logs[:, _OF_GAUSS] = found = _evaluated(log_function, which, left, right, X7)
        most = _bounds(found, X7) + np.log(right - left)
        return _Pool(which, left, right, logs, np.zeros(len(which), bool), most)

    def without(self, left_out: Bool[np.ndarray, " P"]) -> "_Pool":
        """Return the others."""
        return _Pool(*(part[~left_out] for part in self))

    def joined(self, other: "_Pool") -> "_Pool":
        """Return all panels of both."""
        return _Pool(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def ends(self, chosen: Bool[np.ndarray, " P"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which, left and right of some."""
        return self.which[chosen], self.left[chosen], self.right[chosen]

    def whole(self, K: int) -> Float[np.ndarray, " K"]:
        """Return the logarithms of the integrals as far as they are known."""
        masses = _log_masses(self.left, self.right, self.logs[:, _OF_GAUSS], W7)
        masses[self.complete] = _log_masses(*self.complete_parts, W15)
        return _log_sums(self.which, masses, K)

    @property
    def complete_parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left, right and logs of the complete panels."""
        return self.left[self.complete], self.right[self.complete], self.logs[self.complete]

    def waking(self, K: int) -> Bool[np.ndarray, " P"]:
        """Return which panels are not complete, and may count."""
        return ~self.complete & (self.most > self.whole(K)[self.which] - NEGLIGIBLE)

    def completed(self, log_function: LogFunction, waking: Bool[np.ndarray, " P"]) -> "_Pool":
        """Return the panels with g evaluated at the other nodes of those that wake."""
        logs, most = self.logs.copy(), self.most.copy()
        which, left, right = self.ends(waking)
        own = logs[waking]
        own[:, _OTHERS] = _evaluated(log_function, which, left, right, X15[_OTHERS])
        logs[waking], most[waking] = own, _bounds(own, X15) + np.log(right - left)
        return self._replace(logs=logs, most=most, complete=self.complete | waking)

    def split(
        self, K: int, narrowest: float
    ) -> tuple[Bool[np.ndarray, " P"], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return which panels are rough, and the parts they are split into."""
        whole = self.whole(K)[self.which]
        level = np.where(np.isfinite(whole), whole, 0.0) - np.log(self.right - self.left)
        # Of panels that are not complete no difference is known, and none is looked for.
        logs = np.where(self.complete[:, None], self.logs, -np.inf)
        values = np.exp(np.minimum(logs - level[:, None], NEGLIGIBLE))
        differs = np.abs(values @ W15 - values[:, _OF_GAUSS] @ W7) > 2.0 * TOLERANCE
        largest = np.max(logs, axis=1) + np.log(self.right - self.left)
        hides = (self.most > largest + HIDDEN) & (self.most > whole + np.log(TOLERANCE))
        wide = self.complete & (self.right - self.left > narrowest)
        differs, hides = differs & wide & ~hides, hides & wide
        return differs | hides, self._parts(differs, hides)

    def _parts(
        self, halved: Bool[np.ndarray, " P"], hiding: Bool[np.ndarray, " P"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the halves of panels, and the parts of others about their highest node."""
        which, left, right = self.ends(halved)
        middle = 0.5 * (left + right)
        of, start, end = self.ends(hiding)
        place = np.argmax(self.logs[hiding], axis=1)
        ends = np.concatenate([[-1.0], X15, [1.0]])
        below, above = (_places(start, end, ends[place + k]) for k in (0, 2))
        starts = np.concatenate([left, middle, start, below, above])
        stops = np.concatenate([middle, right, below, above, end])
        # None is before the first node, or after the last.
        there = stops > starts
        return np.concatenate([which, which, of, of, of])[there], starts[there], stops[there]


class _Outside:
    """Adds panels on the outer side of the outermost ones as long as these count.

    Parameters
    ----------
    K : int
        Integrals.
    edges : (E,)
        Where the panels that are begun with end.
    """

    def __init__(self, K: int, edges: Float[np.ndarray, " E"]):
        self._ends = [np.full(K, edges[0]), np.full(K, edges[-1])]
        self._widths = [np.full(K, edges[1] - edges[0]), np.full(K, edges[-1] - edges[-2])]
        self._widest = MOST_OUTSIDE * (edges[-1] - edges[0])

    def beyond(
        self,
        which: Int[np.ndarray, " P"],
        left: Float[np.ndarray, " P"],
        right: Float[np.ndarray, " P"],
    ) -> list[np.ndarray]:
        """Return new panels, twice as wide as those of the given ones that are outermost.

        Returns
        -------
        which, left, right
            Of the new ones.
        """
        sides = []
        for side, ends, sign in ((0, left, -1.0), (1, right, 1.0)):
            own = which[ends == self._ends[side][which]]
            own = own[self._widths[side][own] < self._widest]
            inner = self._ends[side][own]
            self._widths[side][own] *= 2.0
            self._ends[side][own] = outer = inner + sign * self._widths[side][own]
            sides.append((own, np.minimum(inner, outer), np.maximum(inner, outer)))
        return [np.concatenate(pair) for pair in zip(*sides, strict=True)]


def _evaluated(
    log_function: LogFunction,
    which: Int[np.ndarray, " P"],
    left: Float[np.ndarray, " P"],
    right: Float[np.ndarray, " P"],
    nodes: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "P n"]:
    """Return g at the nodes of a rule in every panel."""
    places = _places(left[:, None], right[:, None], nodes)
    if not places.size:
        return places
    values = log_function(np.repeat(which, len(nodes)), places.reshape(-1))
    # NaN would be taken for the largest.
    return np.where(np.isnan(values), -np.inf, values).reshape(places.shape)


def _bounds(logs: Float[np.ndarray, "P n"], x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " P"]:
    """Return what g is at most in every panel, as if it were concave between any two nodes."""
    v = np.maximum(logs, NOTHING)
    slopes = np.diff(v, axis=1) / np.diff(x)
    # Before the first node and after the last, on the lines that go on.
    first = v[:, 0] + np.maximum(-slopes[:, 0], 0.0) * (x[0] + 1.0)
    last = v[:, -1] + np.maximum(slopes[:, -1], 0.0) * (1.0 - x[-1])
    # In the first and last interval only the inner neighbours have a line.
    second = v[:, 1] - np.minimum(slopes[:, 1], 0.0) * (x[1] - x[0])
    second_last = v[:, -2] + np.maximum(slopes[:, -2], 0.0) * (x[-1] - x[-2])
    rising, falling, gap = slopes[:, :-2], slopes[:, 2:], np.diff(x)[1:-1]
    peaked = (rising > 0) & (falling < 0)
    steepness = np.where(peaked, rising - falling, 1.0)
    # Where the lines through a node's left neighbour and the next node's right one meet.
    meeting = np.clip((v[:, 2:-1] - v[:, 1:-2] - falling * gap) / steepness, 0.0, gap)
    between = np.where(peaked, v[:, 1:-2] + rising * meeting, -np.inf)
    most = [v.max(axis=1), first, last, second, second_last, between.max(axis=1)]
    return np.where(np.max(logs, axis=1) > NOTHING, np.maximum.reduce(most), -np.inf)


def _places(left: np.ndarray, right: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return where the points of [-1, 1] lie in panels."""
    return 0.5 * (left + right) + 0.5 * (right - left) * x


def _log_masses(
    left: Float[np.ndarray, " P"],
    right: Float[np.ndarray, " P"],
    logs: Float[np.ndarray, "P n"],
    weights: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " P"]:
    """Return the logarithm of every panel's integral by a rule."""
    return np.asarray(logsumexp(logs + np.log(weights), axis=1)) + np.log(0.5 * (right - left))


def _maxima(
    which: Int[np.ndarray, " P"], values: Float[np.ndarray, " P"], K: int
) -> Float[np.ndarray, " K"]:
    found = np.full(K, -np.inf)
    np.maximum.at(found, which, values)
    return found


def _log_sums(
    which: Int[np.ndarray, " P"], logs: Float[np.ndarray, " P"], K: int
) -> Float[np.ndarray, " K"]:
    """Return log sum exp over the panels of every integral."""
    largest = _maxima(which, logs, K)
    safe = np.where(np.isfinite(largest), largest, 0.0)
    sums = np.bincount(which, np.exp(logs - safe[which]), minlength=K)
    with np.errstate(divide="ignore"):
        return np.log(sums) + safe


def edges_of(draws: Float[np.ndarray, " N"]) -> Float[np.ndarray, " E"]:
    """Return edges of panels about draws of a column: some of equal mass, some of equal width."""
    even = np.linspace(0.0, 1.0, N_EDGES)
    low, high = np.min(draws), np.max(draws)
    inner = low + (high - low) * even[1:-1]
    return np.unique(np.concatenate([np.quantile(draws, even), inner]))
