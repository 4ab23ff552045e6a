"""`brenier fit --checkpoint FILE` and `--from FILE`: fits that go on after a kill."""

import numpy as np
import pytest
from small_tables import NAMES, named, rows
from terminal import done, invoke

from brenier import load
from brenier.cli.door import ExitCode
from brenier.io.table import write_table

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status:sklearn.exceptions.ConvergenceWarning"
    ),
]
FEW = ("--widths", "4", "--max-iter", "5", "--n-estimators", "1")


@pytest.fixture
def data(tmp_path):
    write_table(tmp_path / "rows.csv", rows(), NAMES)
    return tmp_path / "rows.csv"


def test_the_same_command_or_from_goes_on_to_the_same_model(data, tmp_path):
    path, models = tmp_path / "fit.checkpoint", [tmp_path / f"{k}.brenier" for k in range(4)]
    done("fit", data, "-o", models[0], *FEW)
    first = done("fit", data, "-o", models[1], "--checkpoint", path, *FEW)
    assert "the fit goes on" not in first.stderr
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for model, option in ((models[2], "--checkpoint"), (models[3], "--from")):
        run = done("fit", data, "-o", model, option, path, *FEW)
        assert f"Note: the fit goes on from {path}." in " ".join(run.stderr.split())
    densities = [load(model).score_samples(named(rows())) for model in models]
    for other in densities[1:]:
        np.testing.assert_array_equal(other, densities[0])


@pytest.mark.parametrize("options", [("--given", NAMES[0]), ("--kind", "mixture"), ("--thesis",)])
def test_kinds_that_a_model_to_begin_at_has_not_go_on_too(data, tmp_path, options):
    path, model = tmp_path / "fit.checkpoint", tmp_path / "m.brenier"
    for option in ("--checkpoint", "--from"):
        run = done("fit", data, "-o", model, option, path, *FEW, *options, "--decay", "0.001")
        assert ("the fit goes on" in " ".join(run.stderr.split())) == (option == "--from")


def test_other_data_or_options_are_refused_and_nothing_is_written(data, tmp_path):
    path, model = tmp_path / "fit.checkpoint", tmp_path / "m.brenier"
    done("fit", data, "-o", model, "--checkpoint", path, *FEW)
    before, model_before = path.read_bytes(), model.read_bytes()
    run = invoke("fit", data, "-o", model, "--from", path, *FEW, "--tau", "0.1")
    assert run.exit_code == ExitCode.BAD_INPUT
    assert "it has tau 1e-05, not 0.1. Give the same" in " ".join(run.stderr.split())
    other = tmp_path / "other.csv"
    write_table(other, rows(seed=1), NAMES)
    run = invoke("fit", other, "-o", model, "--from", path, *FEW)
    assert run.exit_code == ExitCode.BAD_INPUT
    assert "it has table" in " ".join(run.stderr.split())
    assert (path.read_bytes(), model.read_bytes()) == (before, model_before)


def test_files_that_cannot_be_checkpoints_are_refused(data, tmp_path):
    model = tmp_path / "m.brenier"
    run = invoke("fit", data, "-o", model, "--checkpoint", model, *FEW)
    assert run.exit_code == ExitCode.BAD_INPUT
    assert "for both" in run.stderr
    before = data.read_bytes()
    run = invoke("fit", data, "-o", model, "--checkpoint", data, *FEW)
    assert run.exit_code == ExitCode.BAD_INPUT
    assert data.read_bytes() == before
    run = invoke("fit", data, "-o", model, "--checkpoint", tmp_path / "none" / "x", *FEW)
    assert run.exit_code == ExitCode.BAD_INPUT
    assert "Expected a folder to write" in run.stderr
    run = invoke("fit", data, "-o", model, "--from", tmp_path / "missing", *FEW)
    assert run.exit_code == ExitCode.BAD_INPUT
    path = tmp_path / "fit.checkpoint"
    done("fit", data, "-o", model, "--checkpoint", path, *FEW)
    run = invoke("fit", data, "-o", model, "--from", path, "--checkpoint", data, *FEW)
    assert run.exit_code == ExitCode.USAGE
    assert "leave out --checkpoint" in " ".join(run.stderr.split())


def test_where_time_was_up_it_is_said_how_to_go_on(data, tmp_path):
    path, model = tmp_path / "fit.checkpoint", tmp_path / "m.brenier"
    endless = ("--widths", "4", "--max-iter", "100000", "--tol", "0", "--decay", "0.001")
    endless += ("--validation-fraction", "0", "--n-radial", "0", "--max-seconds", "1")
    run = done("fit", data, "-o", model, "--checkpoint", path, *endless)
    assert f"with --from {path} the same command goes on" in " ".join(run.stderr.split())
    # A limit of time is of each process alone.
    done("fit", data, "-o", model, "--from", path, *endless[:-1], "0.5")
