"""The tree explains the method: imports go down only, and nothing happens at import."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

import brenier

ROOT = Path(brenier.__file__).parent
BOTTOM = {"arrays", "linalg", "patterns", "program", "status", "version"}

# What a room may import; an entry allows all that lies below it. A new room is a new line here.
ALLOWED = {
    "arrays": set(),
    "patterns": set(),
    "program": {"program"},
    "status": set(),
    "version": set(),
    "linalg": {"arrays"},
    # Two walls. Solvers never see a network; the features, which make the objective in w that
    # crosses the wall, see what an objective is and no solver; potentials never see an optimizer.
    "inner": BOTTOM | {"inner"},
    "potential": BOTTOM | {"inner.objective", "potential"},
    # Basis functions of regression and classification, which no loss sees.
    "networks": BOTTOM
    | {"potential.features", "potential.icnn", "potential.nonnegativity"}
    | {"networks"},
    "varpro": BOTTOM | {"potential", "networks", "inner", "varpro"},
    # An optimizer sees a function and a held-out loss, not a problem.
    "optimizers": BOTTOM
    | {"varpro.function", "varpro.mini_batches", "varpro.sample", "varpro.sampled", "optimizers"},
    "flow": BOTTOM | {"potential", "flow"},
    "data": BOTTOM | {"data"},
    # Integrals of functions of rows: it knows no flow and no table.
    "marginal": {"arrays", "marginal"},
    "io": BOTTOM | {"io"},
    "training": BOTTOM
    | {"potential", "inner", "varpro", "optimizers", "flow", "data", "io.plain", "io.journal"}
    | {"training"},
    # From a table with targets to a predictor.
    "supervised": BOTTOM
    | {"potential", "networks", "inner", "varpro", "optimizers", "data", "training.parallel"}
    | {"supervised"},
    # Arrays and statistics only: estimators pass what they have down.
    "diagnostics": {"arrays", "linalg", "data", "io.plain", "diagnostics"},
    "estimators": BOTTOM
    | {"training", "optimizers.progress", "flow", "potential.gaussian", "data", "io", "marginal"}
    | {"supervised", "optimizers.early_stopping", "diagnostics", "estimators"},
    "numpyro": {"arrays", "flow", "numpyro"},
    # Without JAX: what it imports of others does not see JAX either.
    "scoring": {"io.model_file", "potential.mills", "scoring"},
    "plots": {"training.report", "data", "diagnostics", "plots"},
    # The thesis's checks are of the method itself: they look into every room.
    "reproduce": BOTTOM
    | {"potential", "inner", "varpro", "optimizers", "flow", "data", "io", "training"}
    | {"estimators", "networks", "plots", "reproduce"},
    "cli": {"estimators", "training", "optimizers.progress", "data", "io", "plots", "reproduce"}
    | {"diagnostics", "patterns", "status", "version", "cli"}
    | {"program.devices", "program.key", "program.processes"},
    "__main__": {"cli"},
    "__init__": {"data.draws", "estimators", "training.algorithm", "training.checkpoint"}
    | {"varpro.taylor", "version"},
}

# Third parties kept to a few places.
ONLY_IN = {
    "sklearn": {"estimators", "data.datasets", "training.gaussian_mixture", "training.covariance"}
    | {"diagnostics", "reproduce.images", "reproduce.gnvpro", "reproduce.slimtrain"},
    "matplotlib": {"plots", "reproduce"},
    "numpyro": {"numpyro"},
    "scipy.optimize": {"optimizers", "training.stacking", "training.tail", "training.far_rows"}
    | {"flow.conditional_mixture", "supervised.classes"},
    "equinox": {
        "arrays",
        "program",
        "potential",
        "networks",
        "inner",
        "varpro",
        "flow",
        "training",
    },
    "optax": {"optimizers"},
    "typer": {"cli"},
    "safetensors": {"io"},
    "astropy": {"io.astronomy"},
    "polars": {"io", "estimators.triangular", "estimators.conditioned_blocks", "plots", "cli"},
}


def name_of(path):
    """Return the dotted name below `brenier`; a package has its own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
ROOMS = sorted({name.split(".")[0] for name in TREES})


def on_all(law):
    """Return a test of a law for every room: it names the module that breaks it."""

    @pytest.mark.parametrize("room", ROOMS)
    def of_room(room):
        for name in TREES:
            if name.split(".")[0] == room:
                try:
                    law(name)
                except AssertionError as error:
                    error.add_note(f"in {name}")
                    raise

    return of_room


def imports(tree):
    """Yield every imported module's dotted name; `from a import b` is a.b where that is one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "Expected absolute imports."
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.removeprefix("brenier.") in TREES
                yield inner if is_module or node.module == "scipy" else node.module


def within(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def test_every_room_and_no_other_is_named():
    rooms = {name.split(".")[0] for name in TREES}
    assert set(ALLOWED) == rooms
    for allowed in (*ALLOWED.values(), *ONLY_IN.values()):
        assert {other for other in allowed if other not in TREES} == set()


@on_all
def test_imports_what_it_may(name):
    ours = {i.removeprefix("brenier.") for i in imports(TREES[name]) if within(i, ["brenier"])}
    allowed = ALLOWED[name.split(".")[0]]
    assert {other for other in ours if not within(other, allowed)} == set()


def private_names(tree):
    """Yield what is imported of ours that begins with an underscore, and from where."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and within(node.module, ["brenier"]):
            path = f"{node.module}.".removeprefix("brenier.")
            names = (path + alias.name for alias in node.names if not alias.name.endswith("__"))
            yield from (name for name in names if "._" in f".{name}")


@on_all
def test_no_private_name_leaves_its_room(name):
    room = name.split(".")[0]
    assert {other for other in private_names(TREES[name]) if not within(other, [room])} == set()


def test_imports_have_no_cycle():
    graph = {
        name: {i.removeprefix("brenier.") for i in imports(tree) if within(i, ["brenier"])} - {name}
        for name, tree in TREES.items()
    }
    order = list(TopologicalSorter(graph).static_order())
    assert order.index("inner.objective") < order.index("potential.icnn")
    assert order.index("varpro.reduced") < order.index("training.fit") < order.index("estimators")


@on_all
def test_third_parties_stay_where_they_belong(name):
    for library, homes in ONLY_IN.items():
        if not within(name, homes):
            assert {i for i in imports(TREES[name]) if within(i, [library])} == set()


@on_all
def test_nothing_of_ours_is_imported_inside_a_function(name):
    # The command line is lazy by design, so that `brenier --help` is fast.
    if within(name, ["cli", "__init__"]):
        return
    functions = [n for n in ast.walk(TREES[name]) if isinstance(n, ast.FunctionDef | ast.Lambda)]
    inside = {i for function in functions for i in imports(function) if within(i, ["brenier"])}
    assert inside == set()


def public(node, prefix=""):
    """Yield public classes, functions and methods, with their names."""
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


@on_all
def test_modules_and_public_names_have_docstrings(name):
    assert ast.get_docstring(TREES[name])
    assert [n for n, node in public(TREES[name]) if not ast.get_docstring(node)] == []


def test_fits_of_arrays_import_little_and_importing_everything_changes_no_setting_of_jax(tmp_path):
    # What only an extra brings.
    absent = {"numpyro"} if find_spec("numpyro") is None else set()
    script = f"""
import importlib, sys, warnings, jax
import numpy as np
before = dict(jax.config.values)
import brenier
few = dict(widths=(2,), max_iter=1, n_estimators=1, decay=0.1, validation_fraction=0.0)
X = np.random.default_rng(0).normal(size=(30, 2))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    flow = brenier.ConvexPotentialFlow(n_radial=0, noise=0.0, **few).fit(X)
    flow.save("m")
    brenier.load("m").score(flow.inverse_transform(flow.transform(flow.sample(3))))
    conditional = brenier.ConditionalConvexPotentialFlow(**few).fit(X[:, :1], X[:, 1:])
    conditional.score(X[:, :1], X[:, 1:])
loaded = {{"matplotlib", "optax", "polars", "rich", "typer"}} & set(sys.modules)
assert not loaded, loaded
for name in {[name for name in TREES if name not in ("__init__", "__main__", *absent)]}:
    importlib.import_module("brenier." + name)
changed = {{k: v for k, v in jax.config.values.items() if before.get(k) != v}}
assert not changed, changed
assert not jax.config.jax_enable_x64
"""
    command = [sys.executable, "-W", "error", "-c", script]
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path)
