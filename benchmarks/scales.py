"""Whether samples are too narrow where columns have extreme units: `python -m benchmarks.scales`.

Times of 1.4e9 +- 1e-3 and amplitudes of 1e-21 beside a column of ones, against the same rows in
plain units: the width of the middle 90 % of samples, and their standard deviation, relative to
those of the rows, over many seeds. Fits are small (`widths=(8,)`, `max_iter=40`).
"""

import argparse
import warnings

import numpy as np

from brenier import ConvexPotentialFlow

SHIFT, SCALE = np.array([1.4e9, 0.0, 0.0]), np.array([1e-3, 1e-21, 1.0])
MIXING = np.array([[1.0, 0.5, 0.3], [0.0, 0.9, 0.2], [0.0, 0.0, 0.8]])
UNITS = {"extreme": (SHIFT, SCALE), "plain": (np.zeros(3), np.ones(3))}
DRAWS = {
    "normal": lambda rng, n: rng.normal(size=(n, 3)) @ MIXING,
    "t, 5 degrees": lambda rng, n: rng.standard_t(5, size=(n, 3)) @ MIXING,
}
N_SAMPLES, NARROW = 20_000, 0.91


def ratios(Z: np.ndarray, shift: np.ndarray, scale: np.ndarray, seed: int) -> np.ndarray:
    """Return widths and standard deviations of samples relative to the rows', (2, 3)."""
    X = shift + scale * Z
    flow = ConvexPotentialFlow(widths=(8,), max_iter=40, random_state=seed).fit(X)
    samples = (flow.sample(N_SAMPLES, random_state=1) - X.mean(axis=0)) / scale
    rows = (X - X.mean(axis=0)) / scale
    return np.stack([_width(samples) / _width(rows), samples.std(axis=0) / rows.std(axis=0)])


def _width(rows: np.ndarray) -> np.ndarray:
    low, high = np.quantile(rows, [0.05, 0.95], axis=0)
    return high - low


def main() -> None:
    """Print means over seeds, their standard errors, and how often two columns are narrow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=60)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, draw in DRAWS.items():
        for units, (shift, scale) in UNITS.items():
            found = np.array(
                [
                    ratios(draw(np.random.default_rng(seed), arguments.rows), shift, scale, seed)
                    for seed in range(arguments.seeds)
                ]
            )
            mean, sd = found.mean(axis=0), found.std(axis=0, ddof=1)
            narrow = (np.sum(found[:, 0] <= NARROW, axis=1) >= 2).sum()
            print(f"{name}, {units} units, {arguments.rows} rows, {arguments.seeds} seeds")
            for what, m, s in zip(("90 % width", "sd"), mean, sd, strict=True):
                error = s / np.sqrt(arguments.seeds)
                texts = [f"{a:.3f} +- {b:.3f}" for a, b in zip(m, error, strict=True)]
                print(f"  {what:10}  {', '.join(texts)}; a fit's spread {s.mean():.3f}")
            print(f"  two columns of three narrower by 9 %: {narrow} fits")


if __name__ == "__main__":
    main()
