"""Model files altered where it matters, with a right checksum: none of them is loaded."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from terminal import done, invoke

from brenier import load
from brenier.estimators.files import MOST_ITERATES
from brenier.io.model_file import MAX_HEADER_BYTES, ModelFileError, read_model, write_model

FIXTURES = Path(__file__).parents[1] / "fixtures"


def content(name):
    metadata, arrays = read_model(FIXTURES / f"{name}.brenier")
    return copy.deepcopy(metadata), dict(arrays)


def refusal(tmp_path, metadata, arrays):
    path = tmp_path / "m.brenier"
    write_model(path, metadata, arrays)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith("Expected a complete brenier model in ")
    assert str(path) in message
    return message


def put(data, place, value):
    """Put a value at a place, a path of keys; without one, remove what is there."""
    *way, last = place.split(".")
    for key in way:
        data = data[int(key) if isinstance(data, list) else key]
    if value is GONE:
        del data[last]
    else:
        data[int(last) if isinstance(data, list) else last] = value


GONE = object()
METADATA = [
    ("joint", "report", None),
    ("joint", "report.message", 3),
    ("joint", "report.seconds", []),
    ("joint", "report.seconds.total", GONE),
    ("joint", "report.seconds.total", -1.0),
    ("joint", "report.history", [1]),
    ("joint", "report.history.iteration", GONE),
    ("joint", "report.history.iteration", [1]),
    ("joint", "report.status", ["CONVERGED"]),
    ("joint", "report.n_maps", -1),
    ("joint", "report.n_train", True),
    ("joint", "report.best_iteration", 10**6),
    ("joint", "report.run_decay", [0.1]),
    ("joint", "report.decay", "0.1"),
    ("joint", "report.heldout_gain", {"mean": "a", "standard_error": 1.0}),
    ("joint", "report.certificate", [1, 2]),
    ("joint", "report.work_units", 2**70),
    ("joint", "parameters", []),
    ("joint", "parameters.tau", -1.0),
    ("joint", "parameters.tau", 10**400),
    ("joint", "parameters.widths", 3),
    ("joint", "parameters.widths", [0]),
    ("joint", "parameters.more", 1),
    ("joint", "parameters.algorithm", {"optimizer": "none"}),
    ("joint", "parameters.algorithm", 3),
    ("joint-bounded", "parameters.bounds", None),
    ("joint-bounded", "parameters.bounds", [[0, "1"], [None, None]]),
    ("joint", "structure", {}),
    ("joint", "structure.kind", "conditional"),
    ("joint", "structure.map.kind", ["sum"]),
    ("joint", "structure.map", {"kind": "composition", "maps": []}),
    ("joint", "structure.map", {"kind": "sum", "members": [{"kind": "sum", "members": []}]}),
    ("joint", "structure.map.features.n_layers", 0),
    ("joint", "structure.map.features.n_layers", 10**18),
    ("joint", "structure.map.features.activation", {}),
    ("joint", "structure.map.features.radial", 1),
    ("joint", "column_names", ["a"]),
    ("joint", "column_names", [1, 2]),
    ("joint", "column_names", ["a", "a"]),
    ("joint", "target_names", ["a", "b"]),
    ("joint", "brenier_version", 1),
    ("joint", "constants", {"c": 1.0}),
    ("joint", "constants", [["c"]]),
    ("joint", "constants", [["c", "1"]]),
    ("triangular", "constants", [["c", 10**400]]),
    ("triangular", "constants", [[1, 1.0]]),
    ("conditional", "target_names", None),
    ("conditional", "target_names", ["a", "b", "c"]),
    ("conditional", "kind", "ConvexPotentialFlow"),
    ("triangular", "parts", {}),
    ("triangular", "parts", [1, 2]),
    ("triangular", "parts.1.kind", "ConvexPotentialRegressor"),
    ("triangular", "parts.1.target_names", ["alpha1", "beta2"]),
    ("triangular", "blocks", [["mu"], ["alpha0"], ["alpha1", "beta1"]]),
    ("triangular", "blocks", [["mu", "alpha0"], []]),
    ("triangular", "blocks", [["mu", "mu"], ["alpha1", "beta1"]]),
    ("triangular", "blocks.0", ["alpha0", "mu"]),
    ("triangular", "column_names", ["mu"]),
    ("triangular", "random_state", -1),
    ("triangular", "random_state", None),
]


@pytest.mark.parametrize(("name", "place", "value"), METADATA)
def test_altered_metadata_are_refused(name, place, value, tmp_path):
    metadata, arrays = content(name)
    put(metadata, place, value)
    refusal(tmp_path, metadata, arrays)


def first(value):
    """Return an array with another first entry."""

    def changed(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return changed


ARRAYS = [
    ("joint", "bounds.low", first(np.inf)),
    ("joint", "bounds.high", first(np.nan)),
    ("joint", "whitening.mean", lambda a: a[:1]),
    ("joint", "whitening.mean", first(np.nan)),
    ("joint", "whitening.scale", first(0.0)),
    ("joint", "whitening.factor", np.transpose),
    ("joint", "whitening.factor", lambda a: a - np.diag(np.diag(a))),
    ("joint", "map.axes", lambda a: 2 * a),
    ("joint", "map.w", first(-1.0)),
    ("joint", "map.w", lambda a: a[1:]),
    ("joint", "map.K.0", np.ravel),
    ("joint", "map.K.0", lambda a: a[:0]),
    ("joint", "map.K.0", lambda a: a.astype("f4")),
    ("joint", "map.b.0", first(np.inf)),
    ("thesis", "map.L.0", first(np.nan)),
    ("joint", "baseline.sd", first(-1.0)),
    ("joint", "baseline.linear", lambda a: a[:1]),
    ("joint", "probes", lambda a: a[:, :1]),
    ("joint", "probes", lambda a: a[0]),
    ("joint", "probe_log_density", lambda a: a[:1]),
    ("composed", "map.0.radial.B", lambda a: a[:, :1]),
    ("composed", "map.0.radial.e", lambda a: a[:1]),
    ("conditional", "context.scale", first(-1.0)),
    ("conditional", "context.low", first(np.inf)),
    ("conditional", "map.shares", first(-1.0)),
    ("conditional", "map.0.units.S", lambda a: a[:, :1]),
    ("conditional", "map.0.units.shift.W", lambda a: a[:, :1]),
    ("conditional", "map.0.units.context.0.b", lambda a: a[:1]),
    ("conditional", "tail.h", first(-1.0)),
    ("conditional-validation", "map.0.quadratic_gates.b", lambda a: a[:1]),
    ("conditional", "baseline.coefficients", lambda a: a.T),
]


@pytest.mark.parametrize(("name", "array", "change"), ARRAYS)
def test_altered_arrays_are_refused(name, array, change, tmp_path):
    metadata, arrays = content(name)
    # Without probes nothing else tells.
    if "probe" not in array:
        arrays |= {one: arrays[one][:0] for one in ("probes", "probe_log_density")}
    arrays[array] = change(arrays[array])
    refusal(tmp_path, metadata, arrays)


@pytest.mark.parametrize("name", ["joint", "triangular"])
def test_missing_and_additional_arrays_are_refused(name, tmp_path):
    metadata, arrays = content(name)
    refusal(tmp_path, metadata, {**arrays, "block0.more": np.zeros(1)})
    refusal(tmp_path, metadata, {**arrays, "more": np.zeros(1)})
    for missing in list(arrays)[:5]:
        rest = {one: array for one, array in arrays.items() if one != missing}
        assert missing.removeprefix("block0.").removeprefix("block1.") in refusal(
            tmp_path, metadata, rest
        )


@pytest.mark.parametrize("without", [True, False])
@pytest.mark.parametrize("name", [path.stem for path in sorted(FIXTURES.glob("*.brenier"))])
def test_files_as_they_are_are_loaded(name, without, tmp_path):
    metadata, arrays = content(name)
    if without:
        arrays = {one: a[:0] if "probe" in one else a for one, a in arrays.items()}
    write_model(tmp_path / "m", metadata, arrays)
    load(tmp_path / "m")


@pytest.mark.parametrize(
    "entry", ["column_names", "brenier_version", "report", "parameters", "constants"]
)
@pytest.mark.parametrize("value", [3, [3], {"a": 3}, "text"])
def test_info_shows_a_file_or_refuses_it(entry, value, tmp_path):
    metadata, arrays = content("joint")
    metadata[entry] = value
    write_model(tmp_path / "m", metadata, arrays)
    for options in ((), ("--json",)):
        result = invoke("info", tmp_path / "m", *options)
        assert result.exit_code in (0, 1)
        assert (result.exit_code == 1) == ("Error: Expected a complete" in result.stderr)
    done("info", FIXTURES / "joint.brenier")


def test_of_very_many_iterates_a_file_keeps_some(tmp_path):
    flow, n, best = load(FIXTURES / "joint.brenier"), 3 * MOST_ITERATES, 23_457
    history = {name: tuple(float(k) for k in range(n)) for name in flow.report_.history}
    history["iteration"] = tuple(range(1, n + 1))
    flow.report_ = replace(flow.report_, history=history, best_iteration=best)
    flow.save(tmp_path / "m")
    kept = load(tmp_path / "m").report_
    assert kept.n_iter == flow.report_.n_iter == n
    iterations = kept.history["iteration"]
    assert {best, n} <= {*iterations}
    assert iterations == tuple(sorted({*iterations}))
    assert len(iterations) <= MOST_ITERATES + 2
    for name, values in kept.history.items():
        assert values == tuple(history[name][k - 1] for k in iterations)
    assert (tmp_path / "m").stat().st_size < MAX_HEADER_BYTES / 2
