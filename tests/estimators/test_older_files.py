"""Model files that an older brenier wrote: they load, give what they gave, and are saved anew.

The files are of format 1, before there was a `kind` in them: one of every kind, with the
log-densities that the program of that time gave at some points.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from terminal import done

from brenier import (
    Algorithm,
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    ConvexPotentialRegressor,
    TriangularConvexPotentialFlow,
    load,
)
from brenier.io.model_file import ModelFileError, read_model, write_model
from brenier.status import FitStatus

FOLDER = Path(__file__).parents[1] / "fixtures"
LOG_DENSITIES = json.loads((FOLDER / "log_densities.json").read_text())
# What another machine's rounding may change, as for the densities stored in every file.
SAME = {"rtol": 1e-9, "atol": 1e-9}

KINDS = {
    "joint": ConvexPotentialFlow,
    "joint-bounded": ConvexPotentialFlow,
    "joint-few": ConvexPotentialFlow,
    "thesis": ConvexPotentialFlow,
    "composed": ConvexPotentialFlow,
    "conditional": ConditionalConvexPotentialFlow,
    "conditional-one": ConditionalConvexPotentialFlow,
    "conditional-validation": ConditionalConvexPotentialFlow,
    "composed-conditional": ConditionalConvexPotentialFlow,
    "regressor": ConvexPotentialRegressor,
    "triangular": TriangularConvexPotentialFlow,
}
ONE_FLOW = [name for name, kind in KINDS.items() if kind is not TriangularConvexPotentialFlow]
# Settings that are what they were, by another name.
RENAMED = {"n_cones": "n_radial", "jitter": "noise"}
OF_ALGORITHM = ("scheme", "inner", "activation", "nonnegativity", "quadratic", "max_work_units")

on_files = pytest.mark.parametrize("name", KINDS)


def path_of(name):
    return FOLDER / f"{name}.brenier"


@pytest.fixture(scope="module")
def models():
    return {name: load(path_of(name)) for name in KINDS}


def log_density(model, name):
    """Return a model's log-densities at the points that are listed for a file."""
    points = LOG_DENSITIES[name]
    X = np.array(points["X"])
    if "Y" in points:
        Y = np.array(points["Y"])
        is_regressor = isinstance(model, ConvexPotentialRegressor)
        return model.log_density(X, Y[:, 0]) if is_regressor else model.score_samples(X, Y)
    names = getattr(model, "feature_names_in_", None)
    return model.score_samples(X if names is None else pl.DataFrame(X, schema=list(names)))


def parts(model):
    return model.flows_ if isinstance(model, TriangularConvexPotentialFlow) else [model]


def written(name):
    """Return the metadata in a file as they were written, not as they are read today."""
    with safe_open(path_of(name), "numpy") as file:
        return json.loads(file.metadata()["metadata"])


def written_parts(name):
    """Return those of every flow in it."""
    return written(name).get("parts", [written(name)])


def write_older(path, metadata, arrays):
    """Write a file of format 1."""
    write_model(path, metadata, arrays)
    today = path.read_bytes()
    older = today.replace(b'"format_version":"3"', b'"format_version":"1"')
    assert older != today
    path.write_bytes(older)


def test_every_file_is_looked_at():
    assert {path.stem for path in FOLDER.glob("*.brenier")} == set(KINDS) == set(LOG_DENSITIES)
    assert {name: written(name)["estimator"] for name in KINDS} == {
        **{name: kind.__name__ for name, kind in KINDS.items()},
        "composed": "ComposedConvexPotentialFlow",
        "composed-conditional": "ComposedConditionalConvexPotentialFlow",
    }
    assert not any("kind" in metadata for name in KINDS for metadata in written_parts(name))


@on_files
def test_log_densities_are_those_of_the_program_that_wrote_it(name, models):
    expected = LOG_DENSITIES[name]["log_density"]
    np.testing.assert_allclose(log_density(models[name], name), expected, **SAME)


@on_files
def test_class_and_settings_are_what_they_were(name, models):
    assert type(models[name]) is KINDS[name]
    for model, metadata in zip(parts(models[name]), written_parts(name), strict=True):
        n_maps = 2 if name.startswith("composed") else 1
        assert (model.n_maps, len(model.flow_.map.potentials)) == (n_maps, n_maps)
        assert model.algorithm == (Algorithm.thesis() if name == "thesis" else None)
        own = metadata["parameters"]
        got = model.get_params()
        for setting, value in own.items():
            if setting not in (*OF_ALGORITHM, "n_blocks", "bounds"):
                expected = tuple(value) if isinstance(value, list) else value
                assert got[RENAMED.get(setting, setting)] == expected, setting
        assert own.get("n_blocks", 1) == model.n_maps
        bounds = own["bounds"]
        assert got["bounds"] == (None if bounds is None else [tuple(pair) for pair in bounds])
        if "target_names" in metadata:
            assert model.target_names_.tolist() == metadata["target_names"]
        names = getattr(model, "feature_names_in_", None)
        assert (None if names is None else names.tolist()) == metadata["column_names"]


@on_files
def test_report_says_what_it_said(name, models):
    for model, metadata in zip(parts(models[name]), written_parts(name), strict=True):
        report, own = model.report_, metadata["report"]
        assert report.status is FitStatus[own["status"]]
        same = "message is_gaussian n_members n_train n_heldout train_log_likelihood decay tail "
        same += "best_iteration n_evaluations work_units inner_failures"
        for field in same.split():
            assert getattr(report, field) == own[field], field
        renamed = {"jitter": "noise", "n_cones": "n_radial", "n_blocks": "n_maps"}
        renamed |= {f"search_{what}": f"run_{what}" for what in ("decay", "log_likelihood")}
        renamed |= {"search_n_cones": "run_n_radial"}
        for old, new in renamed.items():
            value = getattr(report, new)
            plain = value if np.isscalar(value) else [None if v != v else v for v in value]
            assert plain == own[old], new
        assert report.seconds["total"] == own["seconds"]["total"]
        assert report.seconds["runs"] == own["seconds"]["searches"]
        assert "searches" not in report.seconds
        heldout = own["heldout_log_likelihood"]
        assert np.isnan(report.heldout_log_likelihood) == (heldout is None)
        if heldout is not None:
            assert report.heldout_log_likelihood == heldout["mean"]
        # What was held out had chosen the model: nothing judges it.
        assert report.gain is report.log_likelihood is None
        assert "Not judged: an older brenier" in report.verdict or report.is_gaussian
        assert report.n_iter == len(own["history"]["iteration"])
        assert model.n_iter_ == max(1, report.n_iter)
        assert report.history["run"] == tuple(own["history"]["search"])
        assert "search" not in report.history


@on_files
def test_newton_steps_are_those_with_a_hessian_of_their_own(name, models):
    for model, metadata in zip(parts(models[name]), written_parts(name), strict=True):
        report, own = model.report_, metadata["report"]
        assert report.chord_steps == tuple(own["chord_steps"])
        together = np.add(report.newton_steps, report.chord_steps)
        assert together.tolist() == own["newton_steps"]
        assert all(steps > 0 for steps in report.newton_steps)
        # Of an iterate it is not known how many of its steps were chord steps, where any were.
        known = not any(report.chord_steps)
        history = report.history["newton_steps"]
        assert len(history) == report.n_iter
        assert known == (history == tuple(own["history"]["newton_steps"]))
        assert known or np.isnan(history).all()


@on_files
def test_saved_again_it_has_a_kind_and_gives_the_same(name, models, tmp_path):
    model = models[name]
    model.save(tmp_path / "m")
    metadata, _ = read_model(tmp_path / "m")
    assert metadata["kind"] == KINDS[name].__name__
    assert "estimator" not in metadata
    for part, of_part in zip(metadata.get("parts", [metadata]), parts(model), strict=True):
        assert part["kind"] == type(of_part).__name__
    copy = load(tmp_path / "m")
    assert type(copy) is type(model)
    np.testing.assert_array_equal(log_density(copy, name), log_density(model, name))
    for again, before in zip(parts(copy), parts(model), strict=True):
        assert again.get_params() == before.get_params()
        assert again.report_.to_dict() == before.report_.to_dict()
        assert repr(again.report_) == repr(before.report_)


@on_files
def test_report_is_a_few_short_lines(name, models):
    for model in parts(models[name]):
        lines = repr(model.report_).splitlines()
        assert len(lines) <= 12
        assert max(map(len, lines)) <= 100
        assert model.report_.status.value in lines[1]


@on_files
def test_command_line_tells_of_it(name, models):
    shown = done("info", path_of(name)).stdout
    told = json.loads(done("info", path_of(name), "--json").stdout)
    assert KINDS[name].__name__ in shown
    assert told["kind"] == KINDS[name].__name__
    flows = parts(models[name])
    of_parts = told["blocks"] if KINDS[name] is TriangularConvexPotentialFlow else [told]
    assert len(of_parts) == len(flows)
    for part, flow in zip(of_parts, flows, strict=True):
        assert part["status"] == flow.report_.status.value
        assert part["parameters"]["n_maps"] == flow.n_maps
        assert part["report"] == flow.report_.to_dict()
    assert shown.count("\nstatus ") == len(flows)
    assert ("2, composed" in shown) == name.startswith("composed")


def test_file_from_before_there_were_radial_units_noise_and_compositions(models, tmp_path):
    metadata, arrays = written("thesis"), load_file(path_of("thesis"))
    for setting in ("n_cones", "jitter"):
        del metadata["parameters"][setting]
    for field in ("n_cones", "search_n_cones", "jitter", "n_blocks", "tail", "chord_steps"):
        del metadata["report"][field]
    write_older(tmp_path / "m", metadata, arrays)
    copy, model = load(tmp_path / "m"), models["thesis"]
    np.testing.assert_array_equal(log_density(copy, "thesis"), log_density(model, "thesis"))
    assert copy.get_params() == model.get_params()
    assert copy.report_.to_dict() == model.report_.to_dict()


@pytest.mark.parametrize("name", ONE_FLOW)
@pytest.mark.parametrize("lost", ["report", "parameters", "structure", "column_names"])
def test_files_without_a_part_are_named(name, lost, tmp_path):
    metadata, arrays = written(name), load_file(path_of(name))
    del metadata[lost]
    write_older(tmp_path / "m", metadata, arrays)
    with pytest.raises(ModelFileError, match=f"got one without its '{lost}'") as caught:
        load(tmp_path / "m")
    assert str(tmp_path / "m") in str(caught.value)


def test_files_of_estimators_that_are_not_known_are_named(tmp_path):
    metadata, arrays = written("joint"), load_file(path_of("joint"))
    write_older(tmp_path / "m", metadata | {"estimator": "MixtureOfFlows"}, arrays)
    with pytest.raises(ModelFileError, match="got 'MixtureOfFlows'.* Upgrade brenier"):
        load(tmp_path / "m")


def test_weights_that_were_changed_are_seen(tmp_path):
    metadata, arrays = written("conditional"), load_file(path_of("conditional"))
    write_older(tmp_path / "m", metadata, arrays | {"1.w": 1.01 * arrays["1.w"]})
    with pytest.raises(ModelFileError, match="to give the log-densities stored with it"):
        load(tmp_path / "m")
