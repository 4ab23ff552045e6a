"""The command line, through real processes and, for the many refusals, in this one."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from brenier import ConvexPotentialFlow, load
from brenier.cli import app, options
from brenier.cli.door import ExitCode, door
from brenier.cli.fit import exit_code
from brenier.io.model_file import write_model
from brenier.io.table import read_table, write_table
from brenier.potential.activations import ACTIVATIONS
from brenier.status import FitStatus, InputWarning

SIZE = ("--widths", "4", "--max-iter", "5", "--n-estimators", "1")
SMALL = (*SIZE, "--decay", "0.001", "--n-radial", "0")
NAMES = ("speed", "mass")
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".npy", ".parquet")
HMM = Path(__file__).parents[2] / "shared/data/posteriors/hmm_example.csv.gz"
# Several times what the slowest process here takes, JAX's import and compilation included.
TIMEOUT = 120
# The inverse map iterates to a residual of about 1e-10 in whitened units.
INVERSE_TOLERANCE = 1e-6


def rows(n_rows=200, seed=0):
    """Rows of two dependent columns, the second positive."""
    rng = np.random.default_rng(seed)
    speed = rng.normal(size=n_rows)
    mass = np.exp(0.5 * speed**2 + 0.3 * rng.normal(size=n_rows))
    return np.column_stack([speed, mass])


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return {
        # Python's own buffering, which users have.
        **{key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("jax")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


@pytest.fixture(scope="module")
def brenier(environment):
    """Run `brenier` as a user does: a process of its own."""

    def run(*arguments, cwd=None, stdin=None):
        return subprocess.run(
            [sys.executable, "-m", "brenier", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env=environment,
            input=stdin,
            timeout=TIMEOUT,
        )

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    write_table(folder / "train.csv.gz", rows(), NAMES)
    return folder


@pytest.fixture(scope="module")
def fitted(brenier, folder):
    """The process that made train.brenier."""
    return brenier("fit", "train.csv.gz", "--bounds", "mass=0:", *SMALL, cwd=folder)


@pytest.fixture(scope="module")
def model(fitted, folder):
    assert fitted.returncode == 0, fitted.stderr
    return str(folder / "train.brenier")


def invoke(*arguments, stdin=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def done(*arguments, stdin=None):
    """Invoke what must succeed."""
    result = invoke(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def write(path, text):
    path.write_text(text)
    return path


def assert_one_error(result, *parts):
    """One paragraph, no traceback, and every part of the message."""
    assert result.exit_code == ExitCode.BAD_INPUT
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert errors == result.stderr.splitlines()[-1:]
    for part in parts:
        assert part in errors[0]


# Fitting.


def test_fit_prints_a_summary_the_verdict_and_where_the_model_is(fitted, model):
    assert load(model).feature_names_in_.tolist() == list(NAMES)
    for label in ("200 rows of 2 columns: speed, mass", "status", "gain over Gaussian", "time"):
        assert label in fitted.stdout
    assert "certificate" in fitted.stdout
    assert fitted.stdout.endswith("Model written to train.brenier\n")
    assert re.search(r"Gaussian .* rows", fitted.stdout)


def test_fit_shows_few_plain_progress_lines_on_stderr_and_warns_in_one(fitted):
    lines = fitted.stderr.splitlines()
    assert lines[0] == "Fitting 200 rows of 2 columns"
    shown = [line.split()[:4] for line in lines if line.startswith("search")]
    assert shown == [["search", "1", "iteration", "1"], ["search", "1", "iteration", "4"]]
    assert lines[-1].startswith("Warning: The fit ended with status 'iteration limit'")
    assert len(lines) == 4


def test_fit_json_is_one_object_also_with_nan(folder, model, tmp_path):
    arguments = ("--json", "--validation-fraction", "0", *SMALL)
    result = done("fit", folder / "train.csv.gz", "-o", tmp_path / "m.brenier", *arguments)
    answer = json.loads(result.stdout)
    assert answer["model"] == str(tmp_path / "m.brenier")
    assert (answer["rows"], answer["columns"]) == (200, list(NAMES))
    assert (answer["status"], answer["heldout_gain"]) == ("iteration limit", None)
    assert answer["train_log_likelihood"] == load(answer["model"]).report_.train_log_likelihood


def test_fit_quiet_prints_nothing(folder, tmp_path):
    result = done("fit", folder / "train.csv.gz", "-o", tmp_path / "m", "--quiet", *SMALL)
    assert (result.stdout, result.stderr) == ("", "")
    assert load(tmp_path / "m").n_iter_ == 5


def test_options_reach_the_estimator(folder, tmp_path):
    given = "--tau .01 --decay .1 --tol .1 --max-seconds 9 --n-init 2 --seed 3 --inner barrier"
    given += (
        " --activation softplus --whiten standardize --optimizer lbfgs-varpro --bounds mass=0:99"
    )
    given += " --n-radial 2 --noise .2"
    done("fit", folder / "train.csv.gz", "-o", tmp_path / "m", *SMALL, *given.split())
    parameters = json.loads(done("info", tmp_path / "m", "--json").stdout)["parameters"]
    expected = {"tau": 0.01, "decay": 0.1, "tol": 0.1, "max_seconds": 9.0, "n_init": 2}
    expected |= {"random_state": 3, "inner": "barrier", "activation": "softplus", "widths": [4]}
    expected |= {
        "n_radial": 2,
        "noise": 0.2,
        "whiten": "standardize",
        "bounds": [[None, None], [0.0, 99.0]],
        "max_iter": 5,
    }
    assert expected.items() <= parameters.items()


def test_summary_says_how_many_cones_and_which_forms_raced(folder, tmp_path):
    arguments = (*SIZE, "--n-radial", "1", "-o", tmp_path / "m")
    shown = done("fit", folder / "train.csv.gz", *arguments).stdout
    report = load(tmp_path / "m").report_
    radial = "1 cone" if report.n_radial else "no radial"
    text = f"{report.decay:g}, {radial}; best of 3 forms on held-out rows"
    assert text in shown
    assert text in done("info", tmp_path / "m").stdout
    shown = done("fit", folder / "train.csv.gz", *arguments, "--decay", "0.001").stdout
    assert re.search(r"weight decay +0.001, 1 cone\n", shown)


def test_thesis_form_with_an_option_changed(folder, tmp_path):
    done("fit", folder / "train.csv.gz", "-o", tmp_path / "m", "--thesis", *SMALL)
    parameters = load(tmp_path / "m").get_params()
    thesis = ConvexPotentialFlow.thesis(widths=(4,), max_iter=5, decay=1e-3).get_params()
    assert parameters == thesis


def test_weights_and_validation_files(tmp_path):
    omega = np.random.default_rng(1).integers(1, 4, size=200)
    train = tmp_path / "train.parquet"
    write_table(train, np.column_stack([rows(), omega]), (*NAMES, "copies"))
    # The validation rows have the columns in another order, and no weights.
    write_table(tmp_path / "valid.csv", rows(50, seed=1)[:, ::-1], NAMES[::-1])
    arguments = ("--validation", tmp_path / "valid.csv", "--weights", "copies", *SMALL)
    result = done("fit", train, "-o", tmp_path / "m", *arguments)
    assert "no column 'copies'" in result.stderr
    assert "put in the model's order: speed, mass" in result.stderr
    expected = ConvexPotentialFlow(widths=(4,), n_radial=0, max_iter=5, n_estimators=1, decay=1e-3)
    with pytest.warns(UserWarning, match="iteration limit"):
        expected.fit(rows(), sample_weight=omega, validation_data=rows(50, seed=1))
    X = rows(seed=2)
    actual = load(tmp_path / "m")
    assert actual.flow_.preprocessing.bounds.low.shape == (2,)
    np.testing.assert_array_equal(
        read_table_of_score(tmp_path, X), expected.score_samples(X), strict=True
    )


def read_table_of_score(folder, X):
    write_table(folder / "X.csv", X, NAMES)
    done("score", folder / "m", folder / "X.csv", "-o", folder / "scores.npy")
    return read_table(folder / "scores.npy").values[:, 0]


@pytest.mark.parametrize(
    ("values", "n"),
    [
        pytest.param(rows()[:, :1], 1, id="one column"),
        pytest.param(np.rint(rows() * 10), 2, id="integers"),
        pytest.param(rows() * [1e12, 1e-12], 2, id="scales"),
    ],
)
def test_unusual_tables_that_can_be_fitted(values, n, tmp_path):
    write_table(tmp_path / "train.csv", values, NAMES[:n])
    done("fit", tmp_path / "train.csv", "-o", tmp_path / "m", *SMALL)
    result = done("score", tmp_path / "m", tmp_path / "train.csv", "--json")
    assert np.isfinite(json.loads(result.stdout)["log_likelihood"]["mean"])


def test_fewer_rows_than_columns_give_a_gaussian_and_a_warning(tmp_path):
    data = write(tmp_path / "wide.csv", "a,b,c\n1,2,5\n3,4,4\n")
    result = done("fit", data, "-o", tmp_path / "m", *SMALL)
    assert "Warning: Expected more distinct rows than columns; got 2 distinct" in result.stderr
    assert "the model is the Gaussian" in result.stdout
    assert load(tmp_path / "m").report_.is_gaussian


def test_model_name_from_the_data_file(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table("my.draws.npy", rows())
    done("fit", "my.draws.npy", *SMALL)
    assert load("my.draws.brenier").n_features_in_ == 2


# Applying a model.


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_command_in_every_format(suffix, model, tmp_path):
    X, flow = rows(30, seed=3), load(model)
    data, z = tmp_path / f"x{suffix}", tmp_path / f"z{suffix}"
    write_table(data, X, NAMES)

    done("score", model, data, "-o", tmp_path / f"s{suffix}")
    done("transform", model, data, "-o", z)
    done("inverse", model, z, "-o", tmp_path / f"back{suffix}")
    done("sample", model, "-n", 7, "--seed", 1, "-o", tmp_path / f"new{suffix}")

    score, transformed, back, new = (
        read_table(tmp_path / f"{name}{suffix}") for name in ("s", "z", "back", "new")
    )
    named = suffix != ".npy"
    assert score.columns == (("log_density",) if named else None)
    assert transformed.columns == (("z0", "z1") if named else None)
    assert back.columns == new.columns == (NAMES if named else None)
    X_named = read_named(X)
    np.testing.assert_array_equal(score.values[:, 0], flow.score_samples(X_named))
    np.testing.assert_array_equal(transformed.values, flow.transform(X_named))
    np.testing.assert_array_equal(new.values, flow.sample(7, random_state=1))
    np.testing.assert_allclose(back.values, X, rtol=INVERSE_TOLERANCE)


def read_named(X):
    import polars as pl

    return pl.from_numpy(X, schema=list(NAMES))


def test_score_prints_means_with_errors_and_the_verdict(brenier, folder, model):
    result = brenier("score", model, folder / "train.csv.gz")
    assert result.returncode == 0
    assert result.stderr == ""
    assert re.search(r"mean log-likelihood +-?\d+\.\d{4} \+- \d\.\d{4} nats", result.stdout)
    assert re.search(r"gain over Gaussian +-?\d+\.\d{4} \+- \d\.\d{4} nats", result.stdout)
    assert "Gaussian" in result.stdout.splitlines()[4]


def test_score_quiet_is_one_number(folder, model):
    result = done("score", model, folder / "train.csv.gz", "--quiet")
    assert float(result.stdout) == pytest.approx(load(model).score(read_named(rows())))
    assert result.stderr == ""


def test_score_to_standard_output_leaves_it_to_the_table(folder, model):
    result = done("score", model, folder / "train.csv.gz", "-o", "-")
    assert result.stdout.startswith("log_density\n")
    assert len(result.stdout.splitlines()) == 201
    assert "mean log-likelihood" in result.stderr


def test_score_names_rows_of_density_zero(model, tmp_path):
    X = rows(20)
    X[[3, 7], 1] = [-2.0, 0.0]
    write_table(tmp_path / "x.csv", X, NAMES)
    result = done("score", model, tmp_path / "x.csv")
    assert "2 rows (counted from 1)" in result.stdout
    assert "row 4: mass = -2 is not in (0, inf)" in result.stdout
    assert "row 8: mass = 0 is not in (0, inf)" in result.stdout
    assert "density zero under the model" in result.stdout
    answer = json.loads(done("score", model, tmp_path / "x.csv", "--json").stdout)
    assert answer["log_likelihood"]["mean"] is None
    inside = np.delete(X, [3, 7], axis=0)
    assert answer["log_likelihood_of_other_rows"]["mean"] == pytest.approx(
        load(model).score(read_named(inside))
    )


def test_score_of_one_row_has_no_standard_error(model, tmp_path):
    write_table(tmp_path / "x.csv", rows(1), NAMES)
    assert "nan" not in done("score", model, tmp_path / "x.csv").stdout
    answer = json.loads(done("score", model, tmp_path / "x.csv", "--json").stdout)
    assert answer["log_likelihood"]["standard_error"] is None


def test_rows_without_image_are_one_plain_warning(model, tmp_path):
    X = rows(20)
    X[3, 1] = -2.0
    write_table(tmp_path / "x.csv", X, NAMES)
    result = done("transform", model, tmp_path / "x.csv")
    assert result.stderr.startswith("Warning: 1 of 20 rows")
    assert len(result.stderr.splitlines()) == 1
    assert "NaN,NaN" in result.stdout


def test_columns_in_another_order_are_put_right_and_said(model, tmp_path):
    X = rows(20)
    write_table(tmp_path / "x.csv", X, NAMES)
    write_table(tmp_path / "reordered.csv", X[:, ::-1], NAMES[::-1])
    plain = done("transform", model, tmp_path / "x.csv")
    reordered = done("transform", model, tmp_path / "reordered.csv")
    assert plain.stderr == ""
    assert plain.stdout == reordered.stdout
    assert "were put in the model's order: speed, mass" in reordered.stderr


def test_names_of_data_are_not_asked_of_a_model_without(tmp_path):
    write_table(tmp_path / "x.npy", rows())
    write_table(tmp_path / "x.csv", rows(), NAMES)
    write_table(tmp_path / "default.csv", rows()[:, ::-1], ("x1", "x0"))
    done("fit", tmp_path / "x.npy", "-o", tmp_path / "m", *SMALL)
    array = done("transform", tmp_path / "m", tmp_path / "x.npy")
    named = done("transform", tmp_path / "m", tmp_path / "x.csv")
    default = done("transform", tmp_path / "m", tmp_path / "default.csv")
    assert array.stdout == named.stdout == default.stdout
    assert "are taken in order" in named.stderr
    assert "put in the model's order" in default.stderr
    assert done("sample", tmp_path / "m", "-n", 1).stdout.startswith("x0,x1\n")


def test_standard_input_and_output(model):
    drawn = done("sample", model, "-n", 5).stdout
    assert drawn == done("sample", model, "-n", 5).stdout
    assert drawn != done("sample", model, "-n", 5, "--seed", 1).stdout
    assert drawn.startswith("speed,mass\n")
    mapped = done("transform", model, "-", stdin=drawn).stdout
    back = done("inverse", model, "-", stdin=mapped).stdout
    actual, expected = (
        np.loadtxt(text.splitlines(), delimiter=",", skiprows=1) for text in (back, drawn)
    )
    np.testing.assert_allclose(actual, expected, rtol=INVERSE_TOLERANCE)


def test_info_says_what_the_file_is(model):
    shown = done("info", model).stdout
    for part in ("brenier 0", "mass=0:", "widths=4", "iteration limit", "Gaussian"):
        assert part in shown
    answer = json.loads(done("info", model, "--json").stdout)
    assert answer["columns"] == [
        {"name": "speed", "low": None, "high": None},
        {"name": "mass", "low": 0.0, "high": None},
    ]
    assert answer["status"] == "iteration limit"
    assert answer["report"] == load(model).report_.to_dict()


# Bad input.

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
    assert result.stderr == "Error: Expected a file; got nothing at nothing.csv. Check the path.\n"
    assert result.stdout == ""


def test_debug_shows_the_traceback(tmp_path):
    result = invoke("fit", tmp_path / "nothing.csv", "--debug")
    assert isinstance(result.exception, ValueError)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--bounds", "weight=0:"), "bounds for 'weight'"),
        (("--bounds", "mass=2:"), "strictly inside the bounds of 'mass'"),
        (("--weights", "copies"), "'copies'"),
        (("--weights", "speed"), "Negative values"),
    ],
)
def test_options_that_do_not_fit_the_table(options, part, folder, tmp_path):
    result = invoke("fit", folder / "train.csv.gz", "-o", tmp_path / "m", *options, *SMALL)
    assert_one_error(result, "train.csv.gz", part)


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
    newer = blob.replace(b'"format_version":"1"', b'"format_version":"9"')
    assert newer != blob
    (tmp_path / "m").write_bytes(newer)
    write_table(tmp_path / "x.csv", rows(), NAMES)
    for arguments in (("score", tmp_path / "m", tmp_path / "x.csv"), ("info", tmp_path / "m")):
        assert_one_error(invoke(*arguments), "newer brenier", "upgrade")


def test_foreign_and_incomplete_model_files(tmp_path):
    data = write(tmp_path / "x.csv", "a,b\n1,2\n")
    assert_one_error(invoke("info", data), "got a text file")
    write_model(tmp_path / "m", {"estimator": "ConvexPotentialFlow"}, {})
    for arguments in (("score", tmp_path / "m", data), ("info", tmp_path / "m")):
        assert_one_error(invoke(*arguments), "complete brenier model")


@pytest.mark.parametrize(
    "arguments",
    [
        "fit",
        "frobnicate",
        "fit x.csv --bounds x",
        "fit x.csv --bounds x=1",
        "fit x.csv --bounds x=:",
        "fit x.csv --bounds x=a:1",
        "fit x.csv --bounds x=nan:1",
        "fit x.csv --bounds x=2:1",
        "fit x.csv --bounds x=0: --bounds x=:1",
        "fit x.csv --widths 32,0",
        "fit x.csv --widths 32,,32",
        "fit x.csv --tau 0",
        "fit x.csv --decay -1",
        "fit x.csv --max-iter 0",
        "fit x.csv --validation-fraction 1",
        "fit x.csv --max-seconds inf",
        "fit x.csv --whiten some",
        "fit x.csv --seed -1",
        "fit x.csv -o -",
        "fit -",
        "fit - -o m --validation -",
        "score m x.csv --json -o -",
        "sample m -n 0",
    ],
)
def test_usage_errors(arguments):
    result = invoke(*arguments.split())
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=0:1", options.Bounds("x", 0.0, 1.0)),
        ("x=-1e3:", options.Bounds("x", -1000.0, None)),
        ("x=:5", options.Bounds("x", None, 5.0)),
        ("p(a=b)=0:1", options.Bounds("p(a=b)", 0.0, 1.0)),
    ],
)
def test_bounds_are_read(text, expected):
    assert options.parse_bounds(text) == expected


# How a fit can end.


def test_every_report_has_an_exit_code(model):
    report = load(model).report_
    gaussian = replace(report, is_gaussian=True, best_iteration=0)
    nothing = replace(report, is_gaussian=False, best_iteration=0)
    for status in set(FitStatus) - {FitStatus.INTERRUPTED}:
        assert exit_code(replace(report, status=status)) is ExitCode.DONE
        assert exit_code(replace(gaussian, status=status)) is ExitCode.DONE
    assert exit_code(replace(nothing, status=FitStatus.NUMERICAL_FAILURE)) is ExitCode.NO_MODEL
    for ended in (report, gaussian, nothing):
        assert exit_code(replace(ended, status=FitStatus.INTERRUPTED)) is ExitCode.INTERRUPTED


def test_a_fit_that_finds_nothing_writes_nothing(brenier, tmp_path):
    # The thesis's form knows no scales: at 1e60 every density underflows.
    write_table(tmp_path / "x.csv", rows() * 1e60, NAMES)
    result = brenier("fit", "x.csv", "--thesis", "--json", *SMALL, cwd=tmp_path)
    assert result.returncode == ExitCode.NO_MODEL
    answer = json.loads(result.stdout)
    assert (answer["status"], answer["model"]) == ("numerical failure", None)
    assert result.stderr.splitlines()[-1].startswith("Error: x.csv: the fit ended with status")
    assert not (tmp_path / "x.brenier").exists()


def test_interrupted_fit_writes_the_best_model_so_far(environment, tmp_path):
    write_table(tmp_path / "x.csv", rows(2000), NAMES)
    # Python ignores SIGINT where the parent did, as in a background job of a shell script.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from brenier.cli import main; main()"
    endless = ("--max-iter", "1000000", "--tol", "0", "--validation-fraction", "0")
    with subprocess.Popen(
        [sys.executable, "-c", code, "fit", "x.csv", "--widths", "8", *endless],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert any(line.startswith("search 1  iteration    4") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        shown, messages = process.communicate(timeout=TIMEOUT)
    assert process.returncode == ExitCode.INTERRUPTED, messages
    assert "Model written to x.brenier" in shown
    assert "Warning: The fit ended with status 'interrupted'" in messages
    assert "Traceback" not in messages
    answer = json.loads(done("info", tmp_path / "x.brenier", "--json").stdout)
    assert answer["status"] == "interrupted"
    # Of the best search, and the others may be behind the first.
    assert answer["best_iteration"] >= 1


def test_broken_pipe_ends_quietly(environment, model):
    with subprocess.Popen(
        [sys.executable, "-m", "brenier", "sample", model, "-n", "20000"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "speed,mass\n"
        process.stdout.close()
        messages = process.stderr.read()
        process.wait(timeout=TIMEOUT)
    assert messages == ""
    assert process.returncode == ExitCode.BROKEN_PIPE


# The door itself.


def test_help_and_version_in_a_real_process(brenier):
    assert re.fullmatch(r"brenier \d+\.\d+\.\d+\n", brenier("--version").stdout)
    shown = brenier("--help").stdout
    for command in ("fit", "score", "sample", "transform", "inverse", "info"):
        assert f"\n  {command} " in shown
        assert f"Usage: brenier {command}" in done(command, "--help").stdout


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "Interrupted.\n"),
        (OSError("no\nspace"), ExitCode.BAD_INPUT, "Error: no space\n"),
        (MemoryError(), ExitCode.BAD_INPUT, "Error: MemoryError\n"),
        (BrokenPipeError(), ExitCode.BROKEN_PIPE, ""),
    ],
)
def test_what_stops_a_command_becomes_a_code_and_a_line(error, code, message, capsys):
    with pytest.raises(typer.Exit) as ended, door(debug=False):
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == message


def test_defects_of_the_program_are_not_called_bad_input():
    with pytest.raises(KeyError), door(debug=False):
        raise KeyError


@pytest.mark.parametrize(("quiet", "message"), [(False, "Warning: so so\n"), (True, "")])
def test_warnings_become_single_plain_lines(quiet, message, capsys):
    with door(debug=False, quiet=quiet):
        for _ in range(2):
            warnings.warn("so\nso", InputWarning, stacklevel=1)
    assert capsys.readouterr().err == message


def test_help_does_not_wait_for_heavy_imports(environment):
    heavy = {"jax", "sklearn", "polars", "scipy", "numpy", "equinox"}
    code = f"import sys, brenier.cli; print(sorted({heavy!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout == "[]\n"


def test_choices_are_those_of_the_estimator():
    allowed = {
        name: ConvexPotentialFlow._parameter_constraints[name][0].options
        for name in ("whiten", "activation", "optimizer", "inner")
    }
    assert {choice.value for choice in options.Whiten} == allowed["whiten"]
    assert {choice.value for choice in options.Activation} == allowed["activation"]
    assert {choice.value for choice in options.Activation} == set(ACTIVATIONS)
    assert {choice.value for choice in options.Optimizer} == allowed["optimizer"]
    assert {choice.value for choice in options.Inner} == allowed["inner"]


def test_help_shows_the_estimators_defaults():
    text = " ".join(done("fit", "--help").stdout.split()).replace("- ", "-")
    shown = dict(
        re.findall(r"--([a-z-]+) [^\[\n]*?\[default: ([^\]]*)\]", text.replace(" --", "\n--"))
    )
    parameters = ConvexPotentialFlow().get_params()
    parameters |= {"seed": parameters["random_state"], "max_seconds": "none"}
    parameters["widths"] = ",".join(map(str, parameters["widths"]))
    del shown["output"]
    assert shown == {name: str(parameters[name.replace("-", "_")]) for name in shown}
    assert len(shown) == 14
