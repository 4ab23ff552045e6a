"""What a fit loses to the rows' own Gaussian where rows are few: `python -m benchmarks.few`.

Normal rows, defaults, twenty draws of every number of rows and columns. The loss is that of the
mean log-density of 4000 fresh rows to the Gaussian of the fitted rows (nats a row). Losses are put
into `benchmarks/results/few.json`.
"""

import argparse
import json
import warnings

import numpy as np

from benchmarks import report
from brenier import ConvexPotentialFlow

ROWS, COLUMNS, DRAWS = (3, 5, 10, 20, 40, 60), (1, 2, 5), 20
N_FRESH = 4000
# The most that a fit may lose (nats a row).
MOST = 0.1


def loss(N: int, n: int, draw: int) -> float | None:
    """Return what a fit loses; None where its Gaussian is all that is fitted."""
    rng = np.random.default_rng((N, n, draw))
    X, fresh = rng.normal(size=(N, n)), rng.normal(size=(N_FRESH, n))
    flow = ConvexPotentialFlow(random_state=draw).fit(X)
    if flow.report_.is_gaussian:
        return None
    return float(np.mean(flow.baseline_score_samples(fresh)) - flow.score(fresh))


def main() -> None:
    """Fit all draws, print and store what they lose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--columns", type=int, nargs="+", default=list(COLUMNS))
    parser.add_argument("--draws", type=int, default=DRAWS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    file = report.RESULTS / "few.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for N in arguments.rows:
        for n in arguments.columns:
            losses = [loss(N, n, draw) for draw in range(arguments.draws)]
            results[f"{N} x {n}"] = losses
            found = [one for one in losses if one is not None]
            said = f"{N} x {n}: {len(losses) - len(found)} Gaussians, others lose at most "
            above = sum(one > MOST for one in found)
            report.say(f"{said}{max(found, default=0.0):.3f}, {above} above {MOST}")
            file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
