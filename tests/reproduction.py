"""What the tests of the reproduction share: a reproduction that takes seconds, and its files."""

import csv
from dataclasses import replace
from types import MappingProxyType

from brenier import ConvexPotentialFlow
from brenier.data.datasets import Moons
from brenier.reproduce.setting import Setting, Spread

TINY = Setting(
    name="tiny",
    distribution=Moons(noise=0.1),
    n_train=96,
    n_validation=80,
    n_test=64,
    budget=96 * 8,
    seeds=(0,),
    targets=(0.2, -5.0),
    published=MappingProxyType({"adam": Spread(-1.13, 0.03)}),
    optimizers=("adam", "lbfgs-varpro"),
    thesis_form={"widths": (6, 6)},
    default_form={"widths": (6,), "n_radial": 2, "max_iter": 8, "n_estimators": 1},
    n_iterates=4,
    n_timings=1,
    n_grid=200,
    n_normal=500,
)
FIGURES = (
    "figure-2-1",
    "figure-4-1",
    "figure-spread",
    "figure-4-2-adam",
    "figure-4-2-lbfgs-varpro",
    "figure-4-2-default",
)
# The same sums in another order.
ROUNDING = {"rel": 1e-9, "abs": 1e-9}


def entries(folder):
    """Return the lines of a reproduction's table file by table, row and quantity."""
    with open(folder / "tables.csv", newline="") as file:
        return {(e["table"], e["row"], e["quantity"]): e for e in csv.DictReader(file)}


def stamps(folder):
    """Return when each file of the runs was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}


def failing(error, label):
    """Return a `fit` that raises in the runs with one label of the tiny reproduction."""
    fit = ConvexPotentialFlow.fit
    settings = TINY.estimator(label, 0).get_params()

    def fails(self, *args, **kwargs):
        if self.get_params() == settings:
            raise error
        return fit(self, *args, **kwargs)

    return fails


def with_losses(run, losses, **changes):
    """Return copies of a run, a seed each, whose losses are these."""
    return [
        replace(run, seed=seed, loss=dict.fromkeys(("train", "validation", "test"), J), **changes)
        for seed, J in enumerate(losses)
    ]
