"""Simulation-based inference: the posterior of a simulator's parameters, from 1,000 simulations.

`python -m examples.sbi`, from the repository's root; about a minute. Needs matplotlib.
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from brenier import ConditionalConvexPotentialFlow
from examples.c2st import c2st
from examples.simulators import TwoMoons

PICTURE = "two_moons.png"


def main() -> None:
    """Simulate, fit, draw at one observation, and compare with the exact posterior."""
    simulator = TwoMoons()
    generator = np.random.default_rng(0)

    theta = simulator.prior(1000, generator)
    x = simulator.simulate(theta, generator)
    flow = ConditionalConvexPotentialFlow(n_maps=2).fit(x, theta)

    observed = np.array([0.0, 0.0])
    draws = flow.sample(observed[None], 2000)[0]
    # The prior ends sharply: what is beyond it is thrown away.
    draws = draws[simulator.inside(draws)][:1000]

    exact = simulator.posterior(observed, len(draws), generator)
    sys.stdout.write(f"C2ST against exact draws: {c2st(exact, draws):.2f} (0.5 is perfect)\n")
    draw({"exact": exact, "brenier": draws}, simulator.bound)
    sys.stdout.write(f"Drawn in {PICTURE}\n")


def draw(samples: dict[str, np.ndarray], bound: float) -> None:
    """Save a picture of samples of theta, one panel each."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    for ax, (name, theta) in zip(figure.subplots(1, 2), samples.items(), strict=True):
        ax.scatter(*theta.T, s=2)
        ax.set(
            title=name,
            xlabel="theta 1",
            ylabel="theta 2",
            xlim=(-bound, bound),
            ylim=(-bound, bound),
        )
        ax.set_aspect("equal")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
