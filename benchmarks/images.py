r"""Images in bits per dimension: `python -m benchmarks.images`.

The digits of scikit-learn, 8 x 8 pixels of 17 levels, 1,797 images; five splits of 70, 10 and 20 %
to fit, to choose by and to test. The same for all peers:

    x = (value + u) / levels,  u uniform;    y = log(s / (1 - s)),  s = ALPHA + (1 - 2 ALPHA) x,

pixels that have one value in all images left out. What is told is -log2 of the probability of a
pixel's level, p(x) times the levels' width, a mean over the pixels that are left.
"""

import argparse
import json
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits

from benchmarks import report
from benchmarks.data import Split
from benchmarks.peers import PEERS, WIDE

FILE = report.RESULTS / "images.json"
# With the split, a seed that no other benchmark has.
SEED = 20261128
LEVELS, ALPHA, SHARES, SPLITS = 17, 0.05, (0.7, 0.1), 5
ALL = {**PEERS, **WIDE}
FITTED = (
    "brenier",
    "brenier-mixture",
    "gaussian",
    "shrunk",
    "factors",
    "mixture",
    "zuko-nsf",
    "zuko-maf",
)


class Digits:
    """The images of one split.

    Attributes
    ----------
    rows : Split
        y of the pixels that vary.
    n_constant : int
        Pixels that are left out.
    """

    def __init__(self, split: int):
        values = np.asarray(load_digits().data)  # pyright: ignore[reportAttributeAccessIssue]
        vary = np.ptp(values, axis=0) > 0
        self.n_constant = int(np.sum(~vary))
        rng = np.random.default_rng([SEED, split])
        values = rng.permutation(values[:, vary])
        self._shares = ALPHA + (1 - 2 * ALPHA) * (values + rng.random(values.shape)) / LEVELS
        images = np.log(self._shares / (1 - self._shares))
        first, second = np.cumsum(np.round(np.array(SHARES) * len(images)).astype(int))
        self.rows = Split(images[:first], images[first:second], images[second:])

    def bits(self, log_density: np.ndarray) -> np.ndarray:
        """Return each test image's bits per dimension, from the log-density of its y."""
        shares = self._shares[-len(log_density) :]
        slope = np.log((1 - 2 * ALPHA) / (shares * (1 - shares)))
        n = shares.shape[1]
        return -(log_density + slope.sum(axis=1) - n * np.log(LEVELS)) / (n * np.log(2))


def measured(peer: str, split: int) -> dict[str, float]:
    """Return bits per dimension of one fit and its seconds."""
    digits = Digits(split)
    begun = time.perf_counter()
    fitted = ALL[peer].load()(digits.rows, split, lambda: time.perf_counter() - begun)
    seconds = time.perf_counter() - begun
    bits = digits.bits(np.asarray(fitted.log_density(digits.rows.test)))
    error = float(bits.std(ddof=1) / np.sqrt(len(bits)))
    return {"bits": float(bits.mean()), "error": error, "seconds": seconds}


def main() -> None:
    """Fit all, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=FITTED, default=list(FITTED))
    parser.add_argument("--splits", type=int, default=SPLITS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"results": {}}
    kept |= {"machine": report.here(), "constant pixels": Digits(0).n_constant}
    for peer in arguments.peers:
        if ALL[peer].missing:
            report.say(f"{peer}: needs {', '.join(ALL[peer].missing)}")
            continue
        found = [measured(peer, split) for split in range(arguments.splits)]
        kept["results"][peer] = found
        FILE.write_text(json.dumps(kept, indent=1) + "\n")
        bits, seconds = (np.array([one[what] for one in found]) for what in ("bits", "seconds"))
        error = bits.std(ddof=1) / np.sqrt(len(bits)) if len(bits) > 1 else found[0]["error"]
        report.say(
            f"{peer}: {bits.mean():.3f} +- {error:.3f} bits per dimension, "
            f"{np.median(seconds):.0f} s"
        )


if __name__ == "__main__":
    main()
