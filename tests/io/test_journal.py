"""A journal: whole records come back, whatever was cut off, and no other file is touched."""

import os
import subprocess
import sys

import numpy as np
import pytest

from brenier.io import journal as module
from brenier.io.journal import MAGIC, Entry, Journal, JournalError, is_journal

ABOUT = {"brenier": "1.2"}
ENTRIES = [
    Entry({"what": "first"}, {"x": np.arange(3.0), "none": np.zeros(0), "one": np.array(7)}),
    Entry({"what": "second", "name": "ä"}, {}),
    Entry({"what": "third"}, {"x": np.array([[np.nan, np.inf], [-0.0, 1e-300]])}),
]


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "fit.checkpoint")


def written(path, entries=ENTRIES):
    journal, before = Journal.open(path, ABOUT)
    assert before == []
    for entry in entries:
        journal.add(entry)
    journal.close()
    assert journal.failure is None
    return path


def read(path, about=ABOUT):
    journal, entries = Journal.open(path, about)
    journal.close()
    return entries


def assert_same(found, wanted):
    assert [entry.texts for entry in found] == [entry.texts for entry in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.arrays.keys() == other.arrays.keys()
        for name, array in other.arrays.items():
            assert one.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(one.arrays[name], array)


def test_what_was_added_comes_back_and_more_can_be_added(path):
    assert is_journal(path)
    assert_same(read(path), ENTRIES)
    journal, _ = Journal.open(path, ABOUT)
    journal.add(ENTRIES[0])
    # No closing: the process may be killed.
    assert_same(read_of_a_dead_process(path, journal), [*ENTRIES, ENTRIES[0]])


def read_of_a_dead_process(path, journal):
    journal._file.close()
    return read(path)


def test_of_a_file_cut_off_anywhere_all_whole_records_are_left(path, tmp_path):
    data, cut = path.read_bytes(), tmp_path / "cut"
    counts = []
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        found = read(cut)
        assert_same(found, ENTRIES[: len(found)])
        counts.append(len(found))
        written_again = Journal.open(cut, ABOUT)[0]
        written_again.add(ENTRIES[1])
        written_again.close()
        assert_same(read(cut), [*ENTRIES[: len(found)], ENTRIES[1]])
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}


def test_after_an_altered_byte_nothing_is_believed(path):
    data = bytearray(path.read_bytes())
    place = data.rindex(b"second")
    data[place] ^= 1
    path.write_bytes(data)
    assert_same(read(path), ENTRIES[:1])


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"PAR1" + bytes(20), MAGIC[:-1] + b"x"])
def test_a_file_of_another_kind_stays_as_it_is(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert not is_journal(path)
    with pytest.raises(JournalError, match="got a file of another kind, which stays as it is"):
        Journal.open(path, ABOUT)
    assert path.read_bytes() == content


def test_a_journal_of_another_version_stays_as_it_is(path):
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"brenier 1\.3\); got one of another .*brenier 1\.2"):
        Journal.open(path, {"brenier": "1.3"})
    assert path.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_or_a_folder_is_none(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(JournalError, match="got a pipe or a device"):
        Journal.open(pipe, ABOUT)
    with pytest.raises(OSError, match="directory"):
        Journal.open(tmp_path, ABOUT)
    assert not is_journal(tmp_path / "none")


def test_one_that_another_process_writes_is_refused(path):
    fcntl = pytest.importorskip("fcntl")
    assert fcntl
    code = (
        "import sys; from brenier.io.journal import Journal; "
        f"journal = Journal.open({str(path)!r}, {ABOUT!r}); print('open', flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(JournalError, match="that no other process writes"):
            Journal.open(path, ABOUT)
        other.kill()
    assert_same(read(path), ENTRIES)


def test_a_full_disk_ends_the_writing_and_nothing_else(path, monkeypatch):
    journal, _ = Journal.open(path, ABOUT)

    def full(file, data):
        file.write(data[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    journal.add(ENTRIES[0])
    monkeypatch.undo()
    journal.add(ENTRIES[1])
    journal.close()
    assert journal.failure is not None
    assert journal.failure.errno == 28
    assert_same(read(path), ENTRIES)
