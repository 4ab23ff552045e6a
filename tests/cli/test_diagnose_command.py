"""`brenier diagnose` and `brenier compare`."""

import json

import numpy as np
import pytest
from small_tables import NAMES, SMALL, rows
from terminal import assert_one_error, done, invoke

from brenier.cli.door import ExitCode
from brenier.io.table import write_table

N = 200


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    path = tmp_path_factory.mktemp("fresh") / "fresh.csv"
    write_table(path, rows(N, seed=9), NAMES)
    return path


def test_a_verdict_a_page_and_the_same_numbers_as_json(model, fresh, tmp_path):
    page = tmp_path / "page.html"
    said = done("diagnose", model, fresh, "-o", page, "--seed", 3)
    found = json.loads(done("diagnose", model, fresh, "--json", "--seed", 3).stdout)
    assert found["n_rows"] == N
    assert said.stdout.startswith(found["verdict"])
    assert said.stdout.endswith(f"Page with pictures written to {page}\n")
    html = page.read_text(encoding="utf-8")
    assert f"brenier diagnose {model} {fresh} --seed 3 -o {page}" in html


def test_rows_that_it_was_fitted_to_say_nothing(model, folder):
    said = done("diagnose", model, folder / "train.csv.gz", "-q").stdout
    assert said.startswith("100% of these rows are of the table that the model was fitted to")


def test_some_rows_that_it_was_fitted_to_are_told(model, tmp_path):
    X = np.concatenate([rows()[:40], rows(N, seed=9)])
    write_table(tmp_path / "some.csv", X, NAMES)
    said = done("diagnose", model, tmp_path / "some.csv").stdout
    assert "Note: 17% of these rows are of the table" in said


def test_references_can_have_rows_of_their_own(model, fresh, folder):
    said = done("diagnose", model, fresh, "--train", folder / "train.csv.gz").stdout
    assert f"judged on the {N} rows" in said


def test_models_side_by_side(model, fresh, folder, tmp_path):
    other = tmp_path / "other.brenier"
    done("fit", folder / "train.csv.gz", "-o", other, "--bounds", "mass=0:", *SMALL, "--decay", "1")
    said = done("compare", model, other, fresh).stdout
    found = json.loads(done("compare", model, other, fresh, "--json").stdout)
    assert said.startswith(found["verdict"])
    assert found["names"] == [model, str(other)]
    difference = found["differences"][0][1]
    assert difference == pytest.approx(found["means"][0] - found["means"][1])
    assert f"{difference:.4f} +- " in said
    assert done("compare", model, other, fresh, "-q").stdout == found["verdict"] + "\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("diagnose m x.csv -o page.png", ExitCode.USAGE, "ends in .html"),
        ("compare m x.csv", ExitCode.USAGE, "two models or more"),
        ("compare m m x.csv", ExitCode.USAGE, "different models"),
        ("diagnose nothing.brenier x.csv", ExitCode.BAD_INPUT, "nothing.brenier"),
    ],
)
def test_what_is_refused(arguments, code, words):
    result = invoke(*arguments.split())
    assert result.exit_code == code
    assert_one_error(result, words) if code != ExitCode.USAGE else None
    assert words in " ".join(result.stderr.split())
