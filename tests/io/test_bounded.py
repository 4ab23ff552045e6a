"""Files that say they are huge: refused before they are read, in little memory."""

import gzip
import os
import tracemalloc

import numpy as np
import pytest
from table_files import SUFFIXES

from brenier.io.model_file import MAX_HEADER_BYTES, ModelFileError, read_model, write_model
from brenier.io.table import TableError, read_table, write_table

# Of a hole at a file's end, which takes no room on disk; and the memory that a refusal may take.
HOLE, LITTLE = 3 << 30, 1 << 27


def peak(function, *arguments):
    """Return the most memory that Python has held during a call that must be refused."""
    tracemalloc.start()
    try:
        with pytest.raises((TableError, ModelFileError)) as caught:
            function(*arguments)
        return tracemalloc.get_traced_memory()[1], str(caught.value)
    finally:
        tracemalloc.stop()


def with_hole(path):
    os.truncate(path, path.stat().st_size + HOLE)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tables_with_a_hole_at_their_end(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    write_table(path, np.random.default_rng(0).normal(size=(5000, 2)))
    used, message = peak(read_table, with_hole(path))
    assert used < LITTLE
    assert message.startswith("Expected")


def test_a_model_with_a_hole_at_its_end(tmp_path):
    write_model(tmp_path / "m", {"a": 1}, {"x": np.zeros(3)})
    used, message = peak(read_model, with_hole(tmp_path / "m"))
    assert used < LITTLE
    assert "altered" in message


@pytest.mark.parametrize("text", [b"[],", b'{"a":0},', b"0,", b'"abc",'])
def test_headers_that_would_take_many_times_their_length(tmp_path, text):
    filled = b'{"a":[' + text * (MAX_HEADER_BYTES // len(text) - 10)
    header = filled[:-1] + b"]}"
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header)
    used, message = peak(read_model, tmp_path / "m")
    assert used < LITTLE
    assert message.startswith("Expected a brenier model file")


def test_a_header_longer_than_any_is_not_read(tmp_path):
    with open(tmp_path / "m", "wb") as file:
        file.write((MAX_HEADER_BYTES + 8).to_bytes(8, "little") + b"{")
    used, _ = peak(read_model, with_hole(tmp_path / "m"))
    assert used < 1 << 20


def test_what_is_read_whole_comes_back(tmp_path):
    # Longer than what is looked at first.
    rows = np.random.default_rng(0).normal(size=(20_000, 2))
    for suffix in SUFFIXES:
        write_table(tmp_path / f"x{suffix}", rows)
        np.testing.assert_array_equal(read_table(tmp_path / f"x{suffix}").values, rows)
    padded = gzip.compress((tmp_path / "x.csv").read_bytes())
    (tmp_path / "y.csv.gz").write_bytes(padded)
    np.testing.assert_array_equal(read_table(tmp_path / "y.csv.gz").values, rows)
