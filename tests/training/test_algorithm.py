"""The names of an algorithm's parts, which are read without JAX, and what they stand for."""

import subprocess
import sys
from dataclasses import asdict, fields

import pytest

from brenier import Algorithm
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.lbfgs import LBFGS
from brenier.optimizers.named import OPTIMIZERS
from brenier.optimizers.schedule_free import ScheduleFreeAdam
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.training.algorithm import AUTO, NAMES
from brenier.training.settings import INNER_SOLVERS, Settings

REGISTRIES = {
    "optimizer": OPTIMIZERS,
    "inner": INNER_SOLVERS,
    "activation": ACTIVATIONS,
    "nonnegativity": NONNEGATIVITY,
}


def test_names_are_those_of_the_registries():
    found = {setting: tuple(names) for setting, names in REGISTRIES.items()}
    assert found | {"optimizer": (AUTO, *found["optimizer"])} == NAMES


@pytest.mark.parametrize("name", NAMES["optimizer"])
def test_optimizers_eliminate_the_last_layer_where_their_name_says_so(name):
    optimizer = Settings(algorithm=Algorithm(optimizer=name)).optimizer(seed=0, n_rows=1)
    assert isinstance(optimizer, AbstractOptimizer)
    assert optimizer.eliminates == (name.endswith("varpro") or name == AUTO)


def test_long_tables_go_by_mini_batches_unless_another_optimizer_is_wanted():
    settings = Settings()
    assert isinstance(settings.optimizer(0, settings.whole_rows), LBFGS)
    assert isinstance(settings.optimizer(0, settings.whole_rows + 1), ScheduleFreeAdam)
    settings = Settings(algorithm=Algorithm(optimizer="lbfgs-varpro"))
    assert isinstance(settings.optimizer(0, 10**9), LBFGS)


@pytest.mark.parametrize("name", NAMES["inner"])
def test_solvers_get_the_final_barrier_weight(name):
    solver = Settings(algorithm=Algorithm(inner=name), tau=1e-3).solver
    assert isinstance(solver, INNER_SOLVERS[name])
    assert solver.tau == 1e-3


@pytest.mark.parametrize("setting", ["activation", "nonnegativity"])
def test_functions_are_those_of_the_registries(setting):
    for name in NAMES[setting]:
        settings = Settings(algorithm=Algorithm(**{setting: name}))
        assert getattr(settings, setting) is REGISTRIES[setting][name]


@pytest.mark.parametrize("setting", NAMES)
def test_unknown_names_are_named_with_those_there_are(setting):
    with pytest.raises(ValueError, match=f"Expected {setting} to be one of") as caught:
        Algorithm(**{setting: "relu"})
    message = str(caught.value)
    assert message.endswith("; got 'relu'.")
    assert all(repr(name) in message for name in NAMES[setting])


@pytest.mark.parametrize("units", [0, -1])
def test_work_units_are_a_positive_number(units):
    with pytest.raises(ValueError, match="max_work_units to be a positive integer or None; got"):
        Algorithm(max_work_units=units)


def test_thesis_form_with_changes():
    thesis = Algorithm.thesis()
    assert asdict(thesis) == asdict(Algorithm()) | {
        "optimizer": "lbfgs-varpro",
        "inner": "barrier",
        "activation": "softplus",
        "nonnegativity": "softplus",
        "quadratic": False,
    }
    changed = Algorithm.thesis(optimizer="adam", max_work_units=9)
    assert asdict(changed) == asdict(thesis) | {"optimizer": "adam", "max_work_units": 9}
    assert [field.name for field in fields(Algorithm)] == list(asdict(thesis))


def test_algorithms_can_be_named_without_jax():
    code = "import sys, brenier; brenier.Algorithm.thesis(); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
