r"""How near a fitted map is to the optimal one: `python -m benchmarks.transport`.

A random strongly convex potential, a smooth maximum of random planes on a quadratic,

    phi(x) = 1/2 a |x|^2 + s log sum_k exp((b_k . x + c_k) / s),

makes data of normal points, x = (grad phi)^{-1}(z): grad phi is the optimal (Brenier) map from
their density to the standard normal. Of 2,000 rows a map is fitted, and compared with grad phi on
4,000 fresh rows by the unexplained variance in percent [1],

    L2-UVP = 100 E |T(x) - grad phi(x)|^2 / n,

0 for the optimal map, 100 for one that sends every row to the mean. Only without whitening is the
map that brenier fits the optimal one of its density, a gradient in the data's own coordinates;
after scaling of the columns, or whitening, the default, it is another map to the normal. Peers are
given as many normal points as there are rows: discrete plans with their barycentric projection
(POT), nearest neighbours beyond the rows; the entropic map (ott), its strength of regularisation
the best of several on the very rows it is measured on; and the map between two Gaussians.

Needs `pip install POT ott-jax`; what is not installed is left out.

References
----------
.. [1] A. Korotin, V. Egiazarian, A. Asadulaev, A. Safin, E. Burnaev, "Wasserstein-2 Generative
       Networks", ICLR 2021, arXiv 1909.13082.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np

import brenier
from benchmarks import report
from benchmarks.peers.transports import barycentric, entropic

N, N_FRESH, COLUMNS, SEEDS = 2000, 4000, (2, 4, 8, 16), 2
PLANES, LEAST, SMOOTH, STEEP = 12, 0.4, 0.3, 1.5


class Potential:
    """A random strongly convex potential of n columns."""

    def __init__(self, n: int, rng: np.random.Generator):
        directions = rng.normal(size=(PLANES, n))
        self.b = STEEP * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.c = 0.5 * rng.normal(size=PLANES)

    def image(self, X: np.ndarray) -> np.ndarray:
        """Return grad phi of rows."""
        return LEAST * X + self._shares(X) @ self.b

    def preimage(self, Z: np.ndarray) -> np.ndarray:
        """Return the rows whose images are Z, by damped Newton steps."""
        X = Z / (LEAST + STEEP)
        for _ in range(200):
            p = self._shares(X)
            residual = LEAST * X + p @ self.b - Z
            mean = p @ self.b
            H = np.einsum("Nk,ka,kb->Nab", p, self.b, self.b) - mean[:, :, None] * mean[:, None]
            H = LEAST * np.eye(Z.shape[1]) + H / SMOOTH
            step = np.linalg.solve(H, residual[:, :, None])[:, :, 0]
            size = np.linalg.norm(residual, axis=1)
            t = np.ones(len(Z))
            for _ in range(30):
                tried = X - t[:, None] * step
                worse = np.linalg.norm(self.image(tried) - Z, axis=1) > (1 - 0.1 * t) * size
                if not worse.any():
                    break
                t = np.where(worse, 0.5 * t, t)
            X = X - t[:, None] * step
            if size.max() < 1e-12:
                break
        return X

    def _shares(self, X: np.ndarray) -> np.ndarray:
        heights = (X @ self.b.T + self.c) / SMOOTH
        p = np.exp(heights - heights.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)


def unexplained(map_: np.ndarray, true: np.ndarray) -> float:
    """Return the L2-UVP of images, in percent; the images' variance is that of a normal."""
    return float(100 * np.mean(np.sum((map_ - true) ** 2, axis=1)) / true.shape[1])


def ours(whiten: str, X: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return the images under a fitted flow."""
    return brenier.ConvexPotentialFlow(whiten=whiten).fit(X).transform(fresh)


def bures(X: np.ndarray, Z: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return the images under the map between two Gaussians."""
    return brenier.bures_map(X, Z).transform(fresh)


METHODS: Mapping[str, Callable[..., np.ndarray]] = {
    "brenier, no whitening": lambda X, Z, fresh, true: ours("none", X, fresh),
    "brenier, standardised": lambda X, Z, fresh, true: ours("standardize", X, fresh),
    "brenier, default": lambda X, Z, fresh, true: ours("full", X, fresh),
    "Gaussian (Bures)": lambda X, Z, fresh, true: bures(X, Z, fresh),
    "POT, exact plan": lambda X, Z, fresh, true: barycentric(X, Z, fresh),
    "ott, entropic map": lambda X, Z, fresh, true: min(
        entropic(X, Z, fresh), key=lambda images: unexplained(images, true)
    ),
}
NEEDS = {"POT, exact plan": "ot", "ott, entropic map": "ott"}


def main() -> None:
    """Fit and measure all methods, print and store what they leave unexplained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--columns", type=int, nargs="+", default=list(COLUMNS))
    parser.add_argument("--only", nargs="+", choices=list(METHODS), default=list(METHODS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    file = report.RESULTS / "transport.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    there = [name for name in arguments.only if find_spec(NEEDS.get(name, "brenier"))]
    for n in arguments.columns:
        for seed in range(arguments.seeds):
            rng = np.random.default_rng([n, seed])
            potential = Potential(n, rng)
            X, fresh = (potential.preimage(rng.normal(size=(rows, n))) for rows in (N, N_FRESH))
            Z, true = rng.normal(size=(N, n)), potential.image(fresh)
            for name in there:
                value = unexplained(METHODS[name](X, Z, fresh, true), true)
                results.setdefault(name, {}).setdefault(str(n), {})[str(seed)] = value
                report.say(f"{n} columns, seed {seed}, {name}: {value:.2f} %")
                file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
