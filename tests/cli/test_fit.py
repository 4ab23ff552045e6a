"""`brenier fit`: what it prints and writes, and how a fit can end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest
from small_tables import NAMES, SIZE, SMALL, rows, write
from terminal import TIMEOUT, assert_one_error, done, invoke

from brenier import Algorithm, ConvexPotentialFlow, load
from brenier.cli.door import ExitCode
from brenier.cli.fit import exit_code
from brenier.io.table import read_table, write_table
from brenier.status import FitStatus


def test_fit_prints_a_summary_the_verdict_and_where_the_model_is(fitted, model):
    assert load(model).feature_names_in_.tolist() == list(NAMES)
    for label in ("200 rows of 2 columns: speed, mass", "status", "log-likelihood", "time"):
        assert label in fitted.stdout
    assert "certificate" in fitted.stdout
    assert fitted.stdout.endswith("Model written to train.brenier\n")
    assert "Not judged: too few rows (200 rows; 300 are needed)" in fitted.stdout
    assert "`brenier score MODEL OTHER_ROWS`" in fitted.stdout


def test_fit_shows_a_plain_line_a_phase_on_stderr_and_warns_in_one(fitted):
    reading, title, *lines, warning = fitted.stderr.splitlines()
    assert title == "Fitting 200 rows of 2 columns"
    shown = [re.fullmatch(r" *([\d.]+) s  (\w+).*", line).groups() for line in (reading, *lines)]
    assert [phase for _, phase in shown] == ["reading", "compiling", "fitting", "summing"]
    seconds = [float(text) for text, _ in shown]
    assert seconds == sorted(seconds)
    assert re.search(r"best so far -?\d+\.\d{4} nats/row$", lines[-1])
    assert warning.startswith("Warning: The fit ended with status 'iteration limit'")


def test_summary_says_where_the_seconds_went(fitted, model):
    seconds = load(model).report_.seconds
    phases = ("reading", "compiling", "selecting", "fitting", "summing")
    told = ", ".join(f"{phase} {seconds[phase]:.1f}" for phase in phases)
    unwrapped = re.sub(r"\n +", " ", fitted.stdout)
    assert f"{seconds['total']:.1f} s: {told}" in unwrapped
    assert re.search(r"of all runs, .* compiling .* inner solves .* gradients .*", unwrapped)
    # From the start of the process on: Python's own, and the imports.
    assert seconds["reading"] > 0.2
    answer = json.loads(done("info", model, "--json").stdout)
    assert sum(answer["seconds_of"].values()) == pytest.approx(answer["seconds"])


def test_live_line_in_a_terminal(environment, folder, tmp_path):
    if sys.platform == "win32":
        pytest.skip("this platform has no pseudo-terminals")
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "brenier", "fit", folder / "train.csv.gz", "-o", "m", *SIZE]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environment, "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = read_all(ours)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    live, _, after = shown.rpartition("Warning: ")
    assert after.startswith("The fit ended with status 'iteration limit'")
    # What takes a tenth of a second or less may not be seen.
    for words in ("reading", "summing", "best so far -"):
        assert words in live
    # One line, written over again and again.
    assert live.count("\n") <= 2
    assert "run 1" not in live


def read_all(terminal):
    """Return all that is written to a pseudo-terminal, until nobody has it open."""
    parts = []
    while True:
        try:
            parts.append(os.read(terminal, 65536))
        except OSError:
            break
        if not parts[-1]:
            break
    os.close(terminal)
    return b"".join(parts).decode()


def test_a_time_limit_holds_from_the_start_of_the_process_on(environment, tmp_path):
    write_table(tmp_path / "x.csv", rows(2000), NAMES)
    slow = 60.0
    code = "import time; from brenier.training.run import UnderWay; "
    code += f"UnderWay._call_once = lambda *_: time.sleep({slow}); "
    code += "from brenier.cli import main; main()"
    # On a machine so busy that the imports take half of the first limit, the next.
    for limit in (8.0, 12.0, 24.0):
        before = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-c", code, "fit", "x.csv", "--max-seconds", str(limit)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )
        took = time.perf_counter() - before
        report = load(tmp_path / "x.brenier").report_
        if report.seconds["reading"] < limit / 2:
            break
    assert took < 1.1 * limit + 1.0
    assert report.is_gaussian
    assert report.seconds["compiling"] > 0
    assert report.seconds["total"] == pytest.approx(limit, abs=0.1 * limit)
    assert report.verdict in run.stdout
    assert report.verdict.startswith("Nothing was searched: ")
    assert "the model is the Gaussian, nothing having been searched" in re.sub(
        r"\n +", " ", run.stdout
    )
    assert run.stdout.endswith("Model written to x.brenier\n")
    assert "Traceback" not in run.stderr


def test_fit_json_is_one_object_also_with_nan(folder, model, tmp_path):
    arguments = ("--json", "--validation-fraction", "0", *SMALL)
    result = done("fit", folder / "train.csv.gz", "-o", tmp_path / "m.brenier", *arguments)
    answer = json.loads(result.stdout)
    assert answer["model"] == str(tmp_path / "m.brenier")
    assert (answer["rows"], answer["columns"]) == (200, list(NAMES))
    assert (answer["status"], answer["gain"]) == ("iteration limit", None)
    assert answer["train_log_likelihood"] == load(answer["model"]).report_.train_log_likelihood


def test_quiet_fit_says_only_that_a_limit_ended_it(folder, tmp_path):
    quiet = ("fit", folder / "train.csv.gz", "-o", tmp_path / "m", "-q", *SMALL)
    result = done(*quiet)
    assert result.stdout == ""
    report = load(tmp_path / "m").report_
    assert result.stderr == f"Warning: {report.message}\n"
    assert "'iteration limit' after 5 iterations" in report.message
    # So loose a tolerance is met.
    result = done(*quiet, "--tol", "10")
    assert (result.stdout, result.stderr) == ("", "")
    assert load(tmp_path / "m").report_.status.finished


def test_options_reach_the_estimator(folder, tmp_path):
    given = "--tau .01 --decay .1 --tol .1 --max-seconds 9 --n-init 2 --seed 3 --inner barrier"
    given += " --activation softplus --whiten standardize --optimizer gd-varpro --bounds mass=0:99"
    given += " --n-radial 2 --noise .2"
    done("fit", folder / "train.csv.gz", "-o", tmp_path / "m", *SMALL, *given.split())
    parameters = json.loads(done("info", tmp_path / "m", "--json").stdout)["parameters"]
    expected = {"tau": 0.01, "decay": 0.1, "tol": 0.1, "max_seconds": 9.0, "n_init": 2}
    algorithm = Algorithm(optimizer="gd-varpro", inner="barrier", activation="softplus")
    expected |= {"random_state": 3, "algorithm": asdict(algorithm), "widths": [4]}
    expected |= {
        "n_radial": 2,
        "noise": 0.2,
        "whiten": "standardize",
        "bounds": [[None, None], [0.0, 99.0]],
        "max_iter": 5,
    }
    assert expected.items() <= parameters.items()


def test_summary_says_how_many_radial_units_and_what_was_tried(folder, tmp_path):
    arguments = (*SIZE, "--n-radial", "1", "-o", tmp_path / "m")
    shown = done("fit", folder / "train.csv.gz", *arguments).stdout
    report = load(tmp_path / "m").report_
    radial = "1 radial unit" if report.n_radial else "no radial units"
    text = f"{report.decay:g}, {radial}; the best of 3 on held-out rows"
    assert text in shown
    assert text in done("info", tmp_path / "m").stdout
    shown = done("fit", folder / "train.csv.gz", *arguments, "--decay", "0.001").stdout
    assert re.search(r"weight decay +0.001, 1 radial unit\n", shown)


def test_thesis_form_with_an_option_changed(folder, tmp_path):
    done("fit", folder / "train.csv.gz", "-o", tmp_path / "m", "--thesis", *SMALL)
    parameters = load(tmp_path / "m").get_params()
    thesis = ConvexPotentialFlow.thesis(widths=(4,), max_iter=5, decay=1e-3).get_params()
    assert parameters == thesis
    arguments = ("--thesis", "--activation", "squareplus", *SMALL)
    done("fit", folder / "train.csv.gz", "-o", tmp_path / "m", *arguments)
    algorithm = Algorithm.thesis(activation="squareplus")
    assert load(tmp_path / "m").get_params() == thesis | {"algorithm": algorithm}


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
    assert actual.flow_.preprocessing.column_bounds.low.shape == (2,)
    np.testing.assert_array_equal(
        read_table_of_score(tmp_path, X), expected.score_samples(X), strict=True
    )


def test_log_weights_of_both_files_are_weights(tmp_path):
    logs = np.random.default_rng(1).normal(size=200)
    logs[:20] = -np.inf
    V, v_logs = rows(50, seed=1), np.linspace(-1.0, 1.0, 50)
    write_table(tmp_path / "train.csv", np.column_stack([rows(), logs - 900]), (*NAMES, "log_w"))
    write_table(tmp_path / "valid.csv", np.column_stack([V, v_logs]), (*NAMES, "log_w"))
    files = (tmp_path / "train.csv", "--validation", tmp_path / "valid.csv")
    done("fit", *files, "--log-weights", "log_w", "-o", tmp_path / "m", *SMALL)
    expected = ConvexPotentialFlow(widths=(4,), n_radial=0, max_iter=5, n_estimators=1, decay=1e-3)
    weights = np.exp(logs - logs.max()), np.exp(v_logs - 1.0)
    with pytest.warns(UserWarning, match="iteration limit"):
        expected.fit(rows(), sample_weight=weights[0], validation_data=(V, weights[1]))
    X = rows(seed=2)
    found = read_table_of_score(tmp_path, X)
    np.testing.assert_allclose(found, expected.score_samples(X), atol=1e-6)


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


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)],
)
def test_interrupted_fit_writes_the_best_model_so_far(number, code, environment, tmp_path):
    write_table(tmp_path / "x.csv", rows(2000), NAMES)
    # Python ignores SIGINT where the parent did, as in a background job of a shell script.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script += "from brenier.cli import main; main()"
    endless = ("--max-iter", "1000000", "--tol", "0", "--validation-fraction", "0")
    with subprocess.Popen(
        [sys.executable, "-c", script, "fit", "x.csv", "--widths", "8", *endless],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert any("s  fitting" in line for line in process.stderr)
        # An iteration takes milliseconds.
        time.sleep(1.0)
        process.send_signal(number)
        shown, messages = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, messages
    assert "Model written to x.brenier" in shown
    assert "Warning: The fit ended with status 'interrupted'" in messages
    assert "Traceback" not in messages
    answer = json.loads(done("info", tmp_path / "x.brenier", "--json").stdout)
    assert answer["status"] == "interrupted"
    # Of the best run, and the others may be behind the first.
    assert answer["best_iteration"] >= 1


# What sends its own process a signal in place of compiling, and compiles for longer than a test.
IN_COMPILATION = """
import os, signal, threading, time
from brenier.training.run import UnderWay
signal.signal(signal.SIGINT, signal.default_int_handler)
def compile(*_):
    os.kill(os.getpid(), {number})
    time.sleep(1000)
UnderWay._call_once = compile
from brenier.cli import main
main()
"""


@pytest.mark.parametrize(
    ("number", "code", "older"),
    [(signal.SIGINT, ExitCode.INTERRUPTED, True), (signal.SIGTERM, ExitCode.TERMINATED, False)],
)
def test_a_fit_interrupted_before_its_search_replaces_no_model(
    number, code, older, environment, tmp_path
):
    write_table(tmp_path / "x.csv", rows(), NAMES)
    if older:
        (tmp_path / "x.brenier").write_text("a good model")
    run = subprocess.run(
        [sys.executable, "-c", IN_COMPILATION.format(number=int(number)), "fit", "x.csv", *SMALL],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert run.returncode == code, run.stderr
    said = "Nothing was searched yet: x.brenier stays as it is." in run.stderr
    assert (said, "Model written" in run.stdout) == (older, not older)
    if older:
        assert (tmp_path / "x.brenier").read_text() == "a good model"
    else:
        answer = json.loads(done("info", tmp_path / "x.brenier", "--json").stdout)
        assert answer["is_gaussian"]


def test_what_weighted_rows_are_worth_is_said(tmp_path):
    weights = np.exp(4.0 * np.random.default_rng(6).normal(size=200))
    size = weights.sum() ** 2 / (weights**2).sum()
    write_table(tmp_path / "x.csv", np.column_stack([rows(), weights]), (*NAMES, "w"))
    result = done("fit", tmp_path / "x.csv", "-o", tmp_path / "m", "--weights", "w", *SMALL)
    assert f"Fitting 200 rows, worth {size:.1f}, of 2 columns" in result.stderr
    assert f"got 200 rows, worth {size:.1f} independent ones of equal weight" in result.stderr
    assert f"200 rows, worth {size:.1f}, of 2 columns: " in result.stdout
    assert re.search(rf"trained on.*, worth {size:.1f}\n", result.stdout)
    assert re.search(rf"trained on.*, worth {size:.1f}\n", done("info", tmp_path / "m").stdout)


def test_no_gain_is_claimed_where_values_repeat_in_json_neither(tmp_path):
    rng = np.random.default_rng(7)
    table = np.column_stack([rng.normal(size=400), rng.poisson(2.0, size=400)])
    write_table(tmp_path / "x.csv", table, ("x", "hits"))
    fit = ("fit", tmp_path / "x.csv", "-o", tmp_path / "m", "--json", *SMALL)
    score = ("score", tmp_path / "m", tmp_path / "x.csv", "--json")
    for arguments in (fit, score):
        answer = json.loads(done(*arguments).stdout)
        assert answer["gain"] is None
        assert "values of 'hits' repeat" in answer["verdict"]
        assert "log_likelihood" in answer


def test_chains_are_a_column_or_several_files_and_give_the_same_model(tmp_path):
    chain = np.repeat([0.0, 1.0], 100)
    write_table(tmp_path / "all.csv", np.column_stack([chain, rows()]), ("chain", *NAMES))
    for k in (0, 1):
        write_table(tmp_path / f"{k}.csv", rows()[chain == k], NAMES)
    files = [tmp_path / f"{k}.csv" for k in (0, 1)]
    one = done("fit", tmp_path / "all.csv", "--chains", "chain", "-o", tmp_path / "one", *SMALL)
    two = done("fit", *files, "-o", tmp_path / "two", *SMALL)
    assert "200 rows" in one.stdout
    assert f"{files[0]} and 1 more file" in two.stdout
    first, second = (load(tmp_path / name) for name in ("one", "two"))
    table = pl.from_numpy(rows(), schema=list(NAMES))
    np.testing.assert_array_equal(first.score_samples(table), second.score_samples(table))
    assert first.feature_names_in_.tolist() == list(NAMES)
    write_table(tmp_path / "other.csv", rows(), ("speed", "weight"))
    refused = invoke("fit", files[0], tmp_path / "other.csv", "-o", tmp_path / "m", *SMALL)
    assert_one_error(refused, "other.csv", "'mass'")


def test_rows_like_those_before_them_are_warned_of(tmp_path):
    write_table(tmp_path / "x.csv", np.sort(rows(), axis=0), NAMES)
    told = done("fit", tmp_path / "x.csv", "-o", tmp_path / "m", *SMALL).stderr
    assert "got rows like those before them in 'speed', 'mass'" in told
    assert "--chains" in told
