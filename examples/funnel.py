"""The map as a sampler's coordinates: Neal's funnel, drawn from by NUTS with and without a density.

The funnel [1]_: v ~ N(0, 3^2), and given v four x_i ~ N(0, exp(v)). Its neck is thousands of times
narrower than its mouth; steps that suit one do not suit the other: NUTS does not get into the neck.
A block-triangular density, of v and of the x_i given v, fitted to the draws of that poor run, makes
it more like a normal distribution: NUTS then draws z, and x = T^{-1}(z) are draws of the funnel,
however good the fit, since `pulled_back` has the funnel's own density in it (NeuTra [2]_, with a
fitted map in place of a variational one). Draws that reach farther give a better map, for the next
round, which is fitted to all draws so far. At the end of the neck, where there were no draws, the
map goes on as it does among them (`brenier.flow.spread`). Divergences say that it is not right yet.

Needs NumPyro: `pip install "brenier[numpyro]"`. Run from the repository's root:
`python -m examples.funnel`; with `--json FILE` the figures of all seeds are written there.

References
----------
.. [1] R. M. Neal, "Slice Sampling", Ann. Stat. 31, 2003.
.. [2] M. Hoffman, P. Sountsov, J. V. Dillon, I. Langmore, D. Tran, S. Vasudevan, "NeuTra-lizing Bad
       Geometry in Hamiltonian Monte Carlo Using Neural Transport", 2019, arXiv 1903.03704.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS
from scipy.stats import norm

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    TriangularConvexPotentialFlow,
)

N_COLUMNS, SD = 5, 3.0
CHAINS, WARM_UP, DRAWS = 4, 300, 300
# Values of v below which no draw of a poor run gets.
NECK = -6.0


def log_density(x):
    """Return log p of one row (v, x_1, ..., x_4), but for a constant."""
    v, others = x[0], x[1:]
    return -0.5 * (v / SD) ** 2 - 0.5 * jnp.sum(others**2) * jnp.exp(-v) - 0.5 * len(others) * v


def run(target, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Return NUTS's draws of a log-density, (chains, draws, n), and what it says of them."""
    sampler = MCMC(
        NUTS(potential_fn=lambda z: -target(z)),
        num_warmup=WARM_UP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="vectorized",
        progress_bar=False,
    )
    of_start, of_run = jax.random.split(jax.random.key(seed))
    start = 0.1 * jax.random.normal(of_start, (CHAINS, N_COLUMNS))
    sampler.run(of_run, init_params=start, extra_fields=("diverging", "num_steps"))
    more = sampler.get_extra_fields(group_by_chain=True)
    said = {
        "divergences": int(np.sum(more["diverging"])),
        "gradients": int(np.sum(more["num_steps"])),
    }
    return np.asarray(sampler.get_samples(group_by_chain=True)), said


def described(draws: np.ndarray, said: dict[str, Any]) -> dict[str, Any]:
    """Return what draws of the funnel say of v, beside the truth."""
    v = draws[..., 0]
    return said | {
        "draws": int(v.size),
        "mean of v (0)": float(v.mean()),
        "sd of v (3)": float(v.std()),
        f"percent of v below {NECK:g} ({100 * norm.cdf(NECK / SD):.2f})": 100
        * float(np.mean(v < NECK)),
        "effective draws of v": float(effective_sample_size(v)),
        "split R-hat of v": float(split_gelman_rubin(v)),
    }


def fitted(draws: np.ndarray, seed: int) -> TriangularConvexPotentialFlow:
    """Return the density of v, and of the others given v, of draws (chains, draws, n)."""
    rows = draws.reshape(-1, N_COLUMNS)
    # Draws that were turned down repeat the one before; those of a chain stay in its order.
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    few = {"n_estimators": 1, "random_state": seed}
    following = ConditionalConvexPotentialFlow(widths=(4,), context_widths=(8,), **few)
    return TriangularConvexPotentialFlow(
        [[0], list(range(1, N_COLUMNS))],
        leading=ConvexPotentialFlow(widths=(8,), **few),
        following=following,
    ).fit(rows[first], groups=first // DRAWS)


def main(seed: int = 0, rounds: int = 4) -> dict[str, Any]:
    """Draw from the funnel as it is, then through a density, fitted anew in every round."""
    draws, said = run(log_density, seed)
    found, all_draws = {"NUTS": described(draws, said)}, draws
    for k in range(rounds):
        density = fitted(all_draws, seed).density_
        Z, said = run(density.pulled_back(log_density), seed + 1 + k)
        X, _ = jax.jit(density.inverse)(Z.reshape(-1, N_COLUMNS))
        draws = np.asarray(X).reshape(Z.shape)
        all_draws = np.concatenate([all_draws, draws])
        found[f"NUTS through a density, round {k + 1}"] = described(draws, said)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    chosen = parser.parse_args()
    numpyro.enable_x64()
    # Few effective draws, and those of chains: that is known here.
    warnings.simplefilter("ignore")
    figures = {}
    for seed in chosen.seeds:
        figures[f"seed {seed}"] = main(seed)
        for name, row in figures[f"seed {seed}"].items():
            sys.stdout.write(f"seed {seed}, {name}\n")
            for what, value in row.items():
                sys.stdout.write(f"  {what}: {value:.4g}\n")
        if chosen.json is not None:
            chosen.json.write_text(json.dumps(figures, indent=1) + "\n")
