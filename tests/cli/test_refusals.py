"""Bad input to commands: one line that names the file, what is wrong, and the remedy."""

from pathlib import Path

import numpy as np
import pytest
from small_tables import NAMES, SMALL, rows, write
from terminal import assert_one_error, invoke

from brenier import load
from brenier.cli.door import ExitCode
from brenier.io.model_file import FORMAT_VERSION, write_model
from brenier.io.table import write_table

VERSION = b'"format_version":"%d"'
HMM = Path(__file__).parents[3] / "shared/data/posteriors/hmm_example.csv.gz"


BAD_TABLES = {
    "empty": ("", ["got an empty file"]),
    "header only": ("a,b\n", ["'a', 'b'", "no rows"]),
    "text": ("a,b\n1,2\n3,x\n4,5\n", ["column 'b'", "row 2 'x'"]),
    "missing": ("a,b\n1,2\n,3\n4,nan\n", ["2 missing", "row 2, column 'a'", "row 3, column 'b'"]),
    "infinite": ("a,b\n1,2\ninf,3\n4,1\n", ["1 infinite", "row 2, column 'a'"]),
    "one row": ("a,b\n1,2\n", ["1 sample", "minimum of 2"]),
    "constant": ("a,b\n1,2\n3,2\n4,2\n", ["constant column", "'b'"]),
    "duplicate": ("a,b\n1,1\n3,3\n4,4\n5,5\n", ["'b' equal to 'a'"]),
    "dependent": (
        "a,b,c\n.1,3,.9\n.5,4,.5\n.7,9,.3\n.2,2,.8\n.3,7,.7\n",
        ["exactly dependent", "'a'", "'c'"],
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_tables_without_a_density(case, tmp_path):
    text, parts = BAD_TABLES[case]
    data = write(tmp_path / "bad.csv", text)
    result = invoke("fit", data, "-o", tmp_path / "m", *SMALL)
    assert_one_error(result, str(data), *parts)
    assert not (tmp_path / "m").exists()


def test_dependent_columns_of_a_real_posterior(tmp_path):
    if not HMM.exists():
        pytest.skip(f"{HMM.name} is not part of the repository")
    result = invoke("fit", HMM, "-o", tmp_path / "m", *SMALL)
    assert_one_error(result, HMM.name, "dependent", "'theta1[1]'", "'theta1[2]'")


def test_bad_input_in_a_real_process(brenier, tmp_path):
    result = brenier("fit", "nothing.csv", cwd=tmp_path)
    assert result.returncode == 1
    *phases, error = result.stderr.splitlines()
    assert error == "Error: Expected a file; got nothing at nothing.csv. Check the path."
    assert all(phase.endswith("reading") for phase in phases)
    assert result.stdout == ""


def test_debug_shows_the_traceback(tmp_path):
    result = invoke("fit", tmp_path / "nothing.csv", "--debug")
    assert isinstance(result.exception, ValueError)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--bounds", "weight=0:"), "bounds for 'weight'."),
        (("--bounds", "Mass=0:"), "bounds for 'Mass'. Did you mean 'mass'?"),
        (("--bounds", "mass=2:"), "strictly inside the bounds of 'mass'"),
        (("--weights", "copies"), "'copies'"),
        (("--weights", "speed"), "got negative numbers in "),
        (("--log-weights", "copies"), "'copies'"),
    ],
)
def test_options_that_do_not_fit_the_table(options, part, folder, tmp_path):
    result = invoke("fit", folder / "train.csv.gz", "-o", tmp_path / "m", *options, *SMALL)
    assert_one_error(result, "train.csv.gz", part)


def test_log_weights_are_checked_and_stand_in_for_weights(tmp_path):
    values = np.column_stack([rows(), np.where(np.arange(200) == 4, np.inf, -1.0)])
    write_table(tmp_path / "x.csv", values, (*NAMES, "w"))
    fit = ("fit", tmp_path / "x.csv", "-o", tmp_path / "m", *SMALL)
    wrong = invoke(*fit, "--log-weights", "w")
    assert_one_error(wrong, "'w' of ", "x.csv", "got inf in 1 of 200", "(first: row 5;")
    # Other columns are to be finite all the same.
    assert_one_error(invoke(*fit, "--log-weights", "speed"), "1 infinite", "column 'w'")
    result = invoke(*fit, "--log-weights", "w", "--weights", "speed")
    assert result.exit_code == ExitCode.USAGE
    assert "give one" in " ".join(result.stderr.split())
    write_table(tmp_path / "x.csv", values[:, [0, 1, 0]] - 9.0, (*NAMES, "w"))
    assert_one_error(invoke(*fit, "--weights", "w"), "row 1", "rows count from 1", "--log-weights")


def test_weights_need_names(tmp_path):
    write_table(tmp_path / "x.npy", rows())
    result = invoke("fit", tmp_path / "x.npy", "-o", tmp_path / "m", "--weights", "x1")
    assert_one_error(result, "without names")


@pytest.mark.parametrize("command", ["score", "transform"])
def test_other_columns_are_refused(command, model, tmp_path):
    write_table(tmp_path / "x.csv", rows(), ("speed", "weight"))
    result = invoke(command, model, tmp_path / "x.csv")
    assert_one_error(result, "no 'mass'", "also 'weight'")


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("train.csv/m.brenier", "got a file at"),
        ("train.csv/deeper/m.brenier", "got a file at"),
        ("missing/m.brenier", "got no folder"),
        (".", "got the folder"),
        ("train.csv", "for both"),
    ],
)
def test_model_places_are_checked_before_the_fit(place, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table("train.csv", rows(), NAMES)
    before = Path("train.csv").read_bytes()
    result = invoke("fit", "train.csv", "-o", place, *SMALL)
    assert_one_error(result, part)
    assert "Fitting" not in result.stderr
    assert Path("train.csv").read_bytes() == before


def test_outputs_do_not_replace_inputs(folder, model):
    for arguments in (("score", model, folder / "train.csv.gz"), ("sample", model)):
        assert_one_error(invoke(*arguments, "-o", model), "for both")
    assert load(model).n_features_in_ == 2


def test_model_files_of_a_newer_brenier(tmp_path):
    write_model(tmp_path / "m", {}, {})
    blob = (tmp_path / "m").read_bytes()
    newer = blob.replace(VERSION % FORMAT_VERSION, VERSION % (FORMAT_VERSION + 1))
    assert newer != blob
    (tmp_path / "m").write_bytes(newer)
    write_table(tmp_path / "x.csv", rows(), NAMES)
    for arguments in (("score", tmp_path / "m", tmp_path / "x.csv"), ("info", tmp_path / "m")):
        assert_one_error(invoke(*arguments), "newer brenier", "upgrade")


def test_foreign_and_incomplete_model_files(tmp_path):
    data = write(tmp_path / "x.csv", "a,b\n1,2\n")
    assert_one_error(invoke("info", data), "got a text file")
    write_model(tmp_path / "m", {"kind": "ConvexPotentialFlow"}, {})
    for arguments in (("score", tmp_path / "m", data), ("info", tmp_path / "m")):
        assert_one_error(invoke(*arguments), "complete brenier model")
