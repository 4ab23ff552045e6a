"""Every scheme at every learning rate, on every problem from every seed: run, measured and kept."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from brenier.inner.losses import SquaredError
from brenier.inner.solution import WarmStart
from brenier.io.plain import to_plain
from brenier.networks.basis import NetworkBasis
from brenier.networks.tanh import initial_tanh_network
from brenier.optimizers.early_stopping import EarlyStopping, StoppingCriteria
from brenier.reproduce.gnvpro.methods import Start
from brenier.reproduce.gnvpro.problems import Part
from brenier.reproduce.gnvpro.runs import NO_PATIENCE, OF_NETWORK, OF_W
from brenier.reproduce.runs import Teller
from brenier.reproduce.slimtrain.problems import PARTS, Problem
from brenier.reproduce.slimtrain.record import Run, Store
from brenier.reproduce.slimtrain.setting import Scheme, SlimtrainSetting
from brenier.varpro.function import FullFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.supervised import SupervisedProblem


@dataclass(frozen=True)
class Drawn:
    """A problem's rows and first weights, from one seed: the same for all schemes.

    Attributes
    ----------
    parts : dict of Part
        Rows.
    separable : SupervisedProblem
        The loss with its penalties.
    theta : (q,)
        The first network.
    w : dict of (m o,)
        The last layers to begin with.
    """

    parts: Mapping[str, Part]
    separable: SupervisedProblem
    theta: Float[np.ndarray, " q"]
    w: Mapping[Start, Float[np.ndarray, " mo"]]

    @staticmethod
    def of(setting: SlimtrainSetting, problem: Problem, seed: int) -> "Drawn":
        """Return what a seed draws."""
        parts = problem.rows(seed)
        n, o = (table.shape[1] for table in (parts["train"].X, parts["train"].Y))
        rng = np.random.default_rng([seed, OF_NETWORK])
        network = initial_tanh_network(n, problem.widths, rng, residual=problem.residual)
        basis, loss = NetworkBasis(network, linear=False), SquaredError()
        m = basis.n_functions
        separable = SupervisedProblem(
            template=basis,
            lower=np.repeat(basis.lower, o),
            ridge=np.full(m * o, setting.ridge),
            solver=loss.solver,
            decay=np.asarray(setting.decay),
            loss_of_rows=loss,
        )
        theta = to_vector(network)
        rng = np.random.default_rng([seed, OF_W])
        optimal = separable.solve(theta, _sample(separable, parts["train"]), separable.cold).w
        random = rng.normal(size=m * o) / np.sqrt(m)
        w = {Start.OPTIMAL: np.asarray(optimal), Start.RANDOM: random}
        return Drawn(parts, separable, theta, w)

    def function(self, start: Start) -> FullFunction:
        """Return the loss on the training rows, and where from."""
        train = self.parts["train"]
        cold = WarmStart.cold(self.w[start])
        return FullFunction(self.separable, _sample(self.separable, train), cold, len(train.X))

    def losses(
        self, theta: Float[np.ndarray, " q"], w: Float[np.ndarray, " mo"]
    ) -> dict[str, float]:
        """Return the loss of every part, one compiled call."""
        X, Y = (np.concatenate([getattr(self.parts[p], f) for p in PARTS]) for f in ("X", "Y"))
        outputs = np.asarray(self.separable.predictions(theta, w, X))
        of_rows = 0.5 * np.sum((outputs - Y) ** 2, axis=1)
        ends = np.cumsum([len(self.parts[p].X) for p in PARTS])[:-1]
        cut = zip(PARTS, np.split(of_rows, ends), strict=True)
        return {part: float(one.mean()) for part, one in cut}


def _sample(separable: SupervisedProblem, part: Part):
    rows = np.concatenate([part.X, part.Y], axis=1)
    return separable.sample(rows, np.full(len(rows), 1 / len(rows)))


@dataclass
class Watch:
    """Measures iterates; what early stopping sees is the validation loss."""

    drawn: Drawn
    measured: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, theta: Float[np.ndarray, " q"], w: Float[np.ndarray, " mo"]) -> float:
        """Measure, and return the validation loss."""
        self.measured.append(self.drawn.losses(theta, w))
        return self.measured[-1]["validation"]


def run_all(setting: SlimtrainSetting, folder: Path, teller: Teller) -> list[Run]:
    """Return every run, those already in DIR/runs taken from there."""
    store, runs = Store(folder / "runs"), []
    seeds = [(problem, seed) for problem in setting.problems for seed in setting.seeds]
    n, position = len(seeds) * len(setting.plan), 0
    for problem, seed in seeds:
        drawn = None
        for scheme, rate in setting.plan:
            position += 1
            settings = to_plain(setting.decides(problem, scheme, rate, seed))
            run = kept = store.find(problem.name, scheme.label, rate, seed, settings)
            if run is None:
                drawn = drawn or _drawn(setting, problem, seed)
                run = run_one(setting, problem, scheme, rate, seed, drawn)
                store.save(run)
            runs.append(run)
            title = f"[{position}/{n}] {problem.name}, {scheme.label}, rate {rate:g}, seed {seed}"
            word = "" if kept is None else " (kept)"
            teller.say(f"{title}: validation loss {run.best:.3g}{word}")
    return runs


def _drawn(setting: SlimtrainSetting, problem: Problem, seed: int) -> Drawn:
    with jax.enable_x64(True):
        return Drawn.of(setting, problem, seed)


def run_one(
    setting: SlimtrainSetting,
    problem: Problem,
    scheme: Scheme,
    rate: float,
    seed: int,
    drawn: Drawn,
) -> Run:
    """Return a run."""
    begun, changes = time.perf_counter(), []
    shown = setting.shows(scheme, rate, seed)
    told = changes.extend if shown else None
    optimizer, watch = scheme.optimizer(rate, seed, setting.epochs, told), Watch(drawn)
    # Epochs end a run.
    criteria = StoppingCriteria(setting.epochs, NO_PATIENCE, patience_share=0.0)
    early_stopping = EarlyStopping(criteria, watch)
    with jax.enable_x64(True):
        function = drawn.function(scheme.start)
        watch(drawn.theta, drawn.w[scheme.start])
        end = optimizer.minimize(function, function.start(drawn.theta), early_stopping)
    units = [0.0, *(float(one.work_units) for one in early_stopping.iterations)]
    return Run(
        problem=problem.name,
        label=scheme.label,
        rate=rate,
        seed=seed,
        settings=to_plain(setting.decides(problem, scheme, rate, seed)),
        ended=end.status.value,
        seconds=time.perf_counter() - begun,
        history={"work_units": units} | {p: [one[p] for one in watch.measured] for p in PARTS},
        changes=[float(change) for change in changes],
    )
