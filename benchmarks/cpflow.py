r"""CP-Flow's estimators beside exact log-determinants: `python -m benchmarks.cpflow`.

Convex Potential Flows [1]_ never form the Hessian A of their potential. They train by a surrogate,
whose gradient in the weights estimates that of log det A by one random probe v,

    d log det A ~ (A^{-1} v)^T dA v,    A^{-1} v by conjugate gradients,

and report log det A by stochastic Lanczos quadrature [2]_. Both are functions here, compared with
the exact ones at random potentials of 8, 64 and 784 columns: how far off they are, and how long
they take, programs compiled. Then potentials of 8 and 64 columns are trained by Adam for the same
seconds, with the surrogate and with the exact gradient, each with the best of four learning rates
by held-out rows; the figures are of other rows, by the exact log-determinant.

References
----------
.. [1] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", ICLR 2021,
       arXiv 2012.05942.
.. [2] S. Ubaru, J. Chen, Y. Saad, "Fast Estimation of tr(f(A)) via Stochastic Lanczos Quadrature",
       SIAM J. Matrix Anal. Appl. 38, 2017.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import report
from brenier.arrays import LOG_2_PI
from brenier.potential.activations import Softplus
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import SoftplusReparametrised

NAME = "cpflow"
COLUMNS, TRAINED = (8, 64, 784), (8, 64)
# Rows of a comparison, repetitions of an estimate, and of a time.
ROWS, REPEATS, TIMES = 64, 20, 5
# Relative residual of conjugate gradients, their most steps; steps of Lanczos.
CG_TOLERANCE, CG_STEPS, LANCZOS_STEPS = 1e-3, 100, (5, 10, 20)
WIDTHS, SPREAD, W_MIN = (16, 16, 16, 16), (0.5, 4.0), 1e-2
# What units are worth, before the softplus: of potentials to compare at, and to train from.
STEEP, GENTLE = 4.0, -2.0
N_TRAIN, N_CHOOSE, N_JUDGE, BATCH, BEND = 2000, 1000, 4000, 128, 0.5
RATES, SECONDS = (1e-3, 3e-3, 1e-2, 3e-2), 60.0


class Weights(eqx.Module):
    """All weights of a potential, free of bounds.

    Attributes
    ----------
    network : InputConvexNetwork
        Its hidden weights, kept non-negative by a softplus.
    units, quadratics, linear : (width,), (n,), (n,)
        The last layer's; the first two through a softplus.
    """

    network: InputConvexNetwork
    units: jax.Array
    quadratics: jax.Array
    linear: jax.Array

    @staticmethod
    def at_random(X: np.ndarray, rng: np.random.Generator, level: float) -> "Weights":
        """Return weights whose units are worth about `level`, their kinks at rows of X."""
        n = X.shape[1]
        how = Softplus(), SoftplusReparametrised()
        network = initial_network(X, WIDTHS, *how, rng, spread=SPREAD)
        parts = rng.normal(size=WIDTHS[-1]) + level, 0.5 * np.ones(n), np.zeros(n)
        return Weights(network, *map(jnp.asarray, parts))

    def potential(self) -> ConvexPotential:
        """Return the strongly convex potential."""
        n = len(self.linear)
        positive = jax.nn.softplus(self.units), W_MIN + jax.nn.softplus(self.quadratics)
        return ConvexPotential(
            SeparableFeatures(self.network, jnp.eye(n)),
            jnp.concatenate([*positive, self.linear]),
        )


def hessian_product(weights: Weights, x: jax.Array, v: jax.Array) -> jax.Array:
    """Return A v at one row x, by derivatives of the value alone."""
    potential = weights.potential()
    gradient = jax.grad(lambda y: potential.value(y[None])[0])
    return jax.jvp(gradient, (x,), (v,))[1]


def surrogate(weights: Weights, X: jax.Array, key: jax.Array) -> jax.Array:
    """Return what has, in expectation, the gradient of the rows' mean log det A (CP-Flow, eq. 9).

    Its value means nothing. A probe of signs a row; conjugate gradients to `CG_TOLERANCE`.
    """
    fixed = jax.lax.stop_gradient(weights)

    def of_row(x: jax.Array, v: jax.Array) -> jax.Array:
        solved, _ = jax.scipy.sparse.linalg.cg(
            lambda u: hessian_product(fixed, x, u), v, tol=CG_TOLERANCE, maxiter=CG_STEPS
        )
        return jax.lax.stop_gradient(solved) @ hessian_product(weights, x, v)

    return jnp.mean(jax.vmap(of_row)(X, jax.random.rademacher(key, X.shape, X.dtype)))


def lanczos_log_det(weights: Weights, X: jax.Array, key: jax.Array, n_steps: int) -> jax.Array:
    """Return every row's log det A by stochastic Lanczos quadrature with one probe.

    With T the tridiagonal matrix of so many steps from the probe, n sum_k tau_k^2 log lambda_k of
    its eigenvalues and the first entries of its eigenvectors. Vectors are made orthogonal anew.
    """
    n = X.shape[1]
    steps = min(n_steps, n)

    def of_row(x: jax.Array, v: jax.Array) -> jax.Array:
        def step(state: Any, k: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            basis, q = state
            basis = basis.at[k].set(q)
            image = hessian_product(weights, x, q)
            diagonal = q @ image
            for _ in range(2):
                image = image - basis.T @ (basis @ image)
            beside = jnp.linalg.norm(image)
            return (basis, image / jnp.maximum(beside, 1e-300)), (diagonal, beside)

        start = jnp.zeros((steps, n)), v / jnp.sqrt(n)
        _, (diagonal, beside) = jax.lax.scan(step, start, jnp.arange(steps))
        T = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
        values, vectors = jnp.linalg.eigh(T)
        return n * jnp.sum(vectors[0] ** 2 * jnp.log(values))

    return jax.vmap(of_row)(X, jax.random.rademacher(key, X.shape, X.dtype))


def exact_log_det(weights: Weights, X: jax.Array) -> jax.Array:
    """Return every row's log det A."""
    return weights.potential().expansion(X)[2].log_det()


def bent(N: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of correlated columns, every other one bent by the one before it."""
    X = rng.normal(size=(N, n))
    X[:, 1::2] += BEND * (X[:, : n - n % 2 : 2] ** 2 - 1.0)
    return X / np.sqrt(np.where(np.arange(n) % 2, 1.0 + 2.0 * BEND**2, 1.0))


def compared(n: int) -> dict[str, Any]:
    """Return errors and seconds of both estimators at a random potential of n columns."""
    rng = np.random.default_rng(n)
    X = jnp.asarray(bent(ROWS, n, rng))
    weights = Weights.at_random(bent(N_TRAIN, n, rng), rng, STEEP)
    exact = jax.jit(exact_log_det)
    truth = exact(weights, X)
    mean = jax.jit(jax.grad(lambda weights, X: jnp.mean(exact_log_det(weights, X))))
    gradient = jax.jit(jax.grad(surrogate))
    slope = _flat(mean(weights, X))
    keys = jax.random.split(jax.random.key(0), REPEATS)
    estimates = np.stack([_flat(gradient(weights, X, key)) for key in keys])
    one, many = (np.linalg.norm(g - slope, axis=-1) for g in (estimates, estimates.mean(axis=0)))
    found: dict[str, Any] = {
        "log det": {"seconds": _seconds(lambda: exact(weights, X))},
        "its gradient": {"seconds": _seconds(lambda: mean(weights, X))},
        "one-probe surrogate": {
            "relative error": float(np.mean(one) / np.linalg.norm(slope)),
            f"of the mean of {REPEATS}": float(many / np.linalg.norm(slope)),
            "seconds": _seconds(lambda: gradient(weights, X, keys[0])),
        },
    }
    for steps in LANCZOS_STEPS:
        lanczos = jax.jit(
            lambda weights, X, key, steps=steps: lanczos_log_det(weights, X, key, steps)
        )
        errors = np.stack([np.asarray(lanczos(weights, X, key) - truth) for key in keys])
        found[f"Lanczos, {min(steps, n)} steps"] = {
            "error of a row (nats)": float(np.sqrt(np.mean(errors**2))),
            f"bias of the mean of {REPEATS} (nats)": float(np.mean(errors)),
            "seconds": _seconds(lambda lanczos=lanczos: lanczos(weights, X, keys[0])),
        }
    return found


def trained(n: int, seconds: float) -> dict[str, Any]:
    """Return mean log-densities of fresh rows of potentials trained for so many seconds."""
    rng = np.random.default_rng(n)
    rows = {"train": N_TRAIN, "choose": N_CHOOSE, "judge": N_JUDGE}
    X = {part: jnp.asarray(bent(N, n, rng)) for part, N in rows.items()}
    start = Weights.at_random(np.asarray(X["train"]), rng, GENTLE)
    terms = {
        "one-probe surrogate": surrogate,
        "exact gradient": lambda weights, X, key: jnp.mean(exact_log_det(weights, X)),
    }
    found = {}
    for name, of_log_det in terms.items():
        runs = [_adam(start, X["train"], of_log_det, rate, seconds) for rate in RATES]
        chosen = max(runs, key=lambda run: _score(run[0], X["choose"]))
        found[name] = {
            "log-density": _score(chosen[0], X["judge"]),
            "learning rate": RATES[runs.index(chosen)],
            "steps": chosen[1],
        }
    return found | {"seconds of a run": seconds}


def _adam(
    weights: Weights, X: jax.Array, of_log_det: Callable, rate: float, seconds: float
) -> tuple[Weights, int]:
    """Return weights trained for so many seconds, compilation not counted, and the steps taken."""
    optimizer = optax.adam(rate)

    def loss(weights: Weights, rows: jax.Array, key: jax.Array) -> jax.Array:
        z = weights.potential().expansion(rows)[1]
        return 0.5 * jnp.mean(jnp.sum(z**2, axis=0)) - of_log_det(weights, rows, key)

    @jax.jit
    def step(weights: Weights, state: Any, key: jax.Array) -> tuple[Weights, Any]:
        of_rows, of_probe = jax.random.split(key)
        rows = X[jax.random.randint(of_rows, (BATCH,), 0, len(X))]
        updates, state = optimizer.update(jax.grad(loss)(weights, rows, of_probe), state)
        return optax.apply_updates(weights, updates), state

    state, key = optimizer.init(weights), jax.random.key(0)
    jax.block_until_ready(step(weights, state, key))
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        weights, state = step(weights, state, jax.random.fold_in(key, steps))
        jax.block_until_ready(state)
        steps += 1
    return weights, steps


def _score(weights: Weights, X: jax.Array) -> float:
    """Return the mean log-density of rows, by the exact log-determinant."""
    _, z, A = weights.potential().expansion(X)
    n = X.shape[1]
    score = float(jnp.mean(A.log_det() - 0.5 * jnp.sum(z**2, axis=0)) - 0.5 * n * LOG_2_PI)
    return score if np.isfinite(score) else -np.inf


def _flat(weights: Weights) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(weights)])


def _seconds(function: Callable[[], Any]) -> float:
    """Return the median time of a function whose programs are compiled."""
    jax.block_until_ready(function())
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        jax.block_until_ready(function())
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def main() -> None:
    """Compare, train, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--columns", type=int, nargs="*", default=list(COLUMNS))
    parser.add_argument("--trained", type=int, nargs="*", default=list(TRAINED))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    with jax.enable_x64(True):
        for n in arguments.columns:
            keep({"part": "estimators", "columns": n, "found": compared(n)})
        for n in arguments.trained:
            keep({"part": "training", "columns": n, "found": trained(n, arguments.seconds)})
    report.say("\n".join(markdown(report.read(NAME))))


def keep(record: dict[str, Any]) -> None:
    """Keep a record in place of that of the same part and columns."""
    report.keep_record(NAME, record, ("part", "columns"))


def markdown(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the section of the documentation's page."""
    lines = [
        "## CP-Flow's estimators",
        "",
        f"Of log det A of {ROWS} rows at random potentials, and its gradient in the weights: by "
        "one probe and conjugate gradients, and by stochastic Lanczos quadrature, as convex "
        "potential flows are trained and evaluated elsewhere, beside the exact ones here "
        "(`python -m benchmarks.cpflow`). The error of one estimate, relative of gradients, and of "
        f"the mean of {REPEATS}, the exact ones having none.",
        "",
        "| columns | | error | of the mean | milliseconds |",
        "|---|---|---|---|---|",
    ]
    for n, found in _of_part(records, "estimators"):
        for name, values in found.items():
            *errors, seconds = values.values()
            cells = [f"{error:.2g}" for error in errors] or ["", ""]
            lines.append(f"| {n} | {name} | {' | '.join(cells)} | {1e3 * seconds:.2g} |")
    lines += [
        "",
        "Potentials trained by Adam with either gradient for equal seconds, each with the best of "
        f"{len(RATES)} learning rates by held-out rows: log-density of other rows, nats.",
        "",
        "| columns | seconds | gradient | log-density | steps |",
        "|---|---|---|---|---|",
    ]
    for n, found in _of_part(records, "training"):
        seconds = found["seconds of a run"]
        lines += [
            f"| {n} | {seconds:g} | {name} | {values['log-density']:.3f} | {values['steps']:,} |"
            for name, values in found.items()
            if isinstance(values, dict)
        ]
    return lines


def _of_part(records: Sequence[dict[str, Any]], part: str) -> list[tuple[int, dict[str, Any]]]:
    """Return columns and what was found, of one part."""
    own = [(one["columns"], one["found"]) for one in records if one["part"] == part]
    return sorted(own, key=lambda pair: pair[0])


if __name__ == "__main__":
    main()
