"""Columns with names that would steer a terminal: it shows them, and does not obey."""

import json
import unicodedata

import pytest
from small_tables import SMALL, rows
from terminal import done, invoke

from brenier.cli.visible import visible, visible_in_json
from brenier.io.table import write_table

# Clears the screen; turns the direction; C1's form of the same; rings.
EVIL = ("\x1b[2Ja", "b\u202egnp.\x9b31m\x07")


def assert_harmless(text):
    steering = {c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"}
    assert steering == set()


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A data file and a model of it."""
    folder = tmp_path_factory.mktemp("evil")
    data, model = folder / "x.parquet", folder / "x.brenier"
    write_table(data, rows(), EVIL)
    result = done("fit", data, "-o", model, "--bounds", f"{EVIL[1]}=0:", *SMALL)
    assert_harmless(result.stdout + result.stderr)
    assert r"\x1b[2Ja" in result.stdout
    return data, model


def test_every_command_shows_them(evil, tmp_path):
    data, model = evil
    write_table(tmp_path / "outside.parquet", -rows(), EVIL)
    write_table(tmp_path / "turned.parquet", rows()[:, ::-1], EVIL[::-1])
    for command in (
        ("info", model),
        ("score", model, data),
        ("score", model, tmp_path / "outside.parquet"),
        ("score", model, tmp_path / "turned.parquet"),
    ):
        result = done(*command)
        assert_harmless(result.stdout + result.stderr)


def test_errors_show_them(evil, tmp_path):
    _, model = evil
    write_table(tmp_path / "x.parquet", rows(), ("\x1b[31m", "b"))
    result = invoke("score", model, tmp_path / "x.parquet")
    assert result.exit_code == 1
    assert_harmless(result.stderr)
    missing = invoke("score", model, tmp_path / "\x1b[2J.csv")
    assert_harmless(missing.stderr)


def test_json_is_the_same_json(evil):
    text = done("info", evil[1], "--json").stdout
    assert_harmless(text)
    assert [column["name"] for column in json.loads(text)["columns"]] == list(EVIL)


def test_a_text_file_with_such_names_is_not_written(evil, tmp_path):
    result = invoke("sample", evil[1], "-n", 3)
    assert result.exit_code == 1
    assert_harmless(result.stdout + result.stderr)
    assert "control characters" in result.stderr
    assert done("sample", evil[1], "-n", 3, "-o", tmp_path / "x.parquet").exit_code == 0


def test_other_text_stays_as_it_is():
    text = "Größe [kg] = 1 — 漢字 🙂\nnext"
    assert visible(text) == text
    assert visible_in_json(text) == text
