"""Replacing a file whole or not at all: no failure leaves half a file, or a trace."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from brenier.io import atomic, temporary
from brenier.io.atomic import write_atomically


@pytest.fixture
def old(tmp_path):
    """Return a file with older content, alone in its folder."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def assert_unchanged(path):
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(old, monkeypatch, step):
    monkeypatch.setattr(os, step, no_space)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(old, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert str(old) in str(caught.value)
    assert_unchanged(old)


def test_a_write_that_fails_half_way_leaves_the_old_file(old):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_atomically(old, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert_unchanged(old)


def test_an_interruption_leaves_the_old_file(old, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(old, b"new")
    assert_unchanged(old)


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("fsync"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("replace"), replace(*names)))
    write_atomically(tmp_path / "m", b"x")
    assert steps == ["fsync", "replace", "fsync"]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_atomically(tmp_path / "m", b"x")
    assert (tmp_path / "m").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("place", "code"),
    [("none/m", errno.ENOENT), ("file/m", errno.ENOTDIR), (".", errno.EISDIR)],
    ids=["no folder", "below a file", "a folder"],
)
def test_places_that_cannot_be_written(tmp_path, old, place, code):
    with pytest.raises(OSError, match="Expected a place to write .*; got: ") as caught:
        write_atomically(tmp_path / place, b"x")
    assert caught.value.errno == code
    assert_unchanged(old)


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_atomically(tmp_path / "pipe", b"x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_permissions_are_those_of_any_new_file_or_of_the_old_one(tmp_path):
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "new", b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_atomically(tmp_path / "new", b"y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_symbolic_link_stays_one(old):
    link = old.with_name("link")
    link.symlink_to(old)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert old.read_bytes() == b"new"


# Writes one file again and again, as a fit writes models.
WRITER = """
import sys
from brenier.io.atomic import write_atomically
print("begins", flush=True)
while True:
    write_atomically(sys.argv[1], bytes(1 << 20))
"""


def temporary_files(folder):
    return [path for path in folder.iterdir() if path.name.startswith(temporary.PREFIX)]


def killed_writer(path):
    """Kill a process that writes, until one has left a temporary file behind."""
    for _ in range(50):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            while process.poll() is None and not temporary_files(path.parent):
                pass
            process.kill()
        if temporary_files(path.parent):
            return temporary_files(path.parent)
    pytest.fail("No process was killed while it wrote.")


def test_what_a_killed_process_left_is_as_private_as_the_file_and_is_removed_by_the_next(old):
    old.chmod(0o600)
    left = killed_writer(old)
    assert {stat.S_IMODE(path.stat().st_mode) for path in left} == {0o600}
    assert old.read_bytes() in (b"old", bytes(1 << 20))
    write_atomically(old, b"new")
    assert list(old.parent.iterdir()) == [old]
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


def test_another_living_process_keeps_its_temporary_file(old):
    code = "import sys; from pathlib import Path; from brenier.io.temporary import create; "
    code += "print(create(Path(sys.argv[1]))[0], flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, old],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        held = process.stdout.readline().strip()
        write_atomically(old, b"new")
        assert os.path.exists(held)
        process.send_signal(signal.SIGKILL)
    write_atomically(old, b"newer")
    assert list(old.parent.iterdir()) == [old]


def test_one_that_another_took_for_left_behind_is_made_anew(old, monkeypatch):
    opened, taken = os.open, []

    def open_and_lose(path, *arguments):
        handle = opened(path, *arguments)
        if not taken:
            taken.append(path)
            os.unlink(path)
        return handle

    monkeypatch.setattr(atomic, "remove_left_behind", lambda _: None)
    monkeypatch.setattr(os, "open", open_and_lose)
    write_atomically(old, b"new")
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


def test_nothing_is_removed_where_there_are_no_locks(old, monkeypatch):
    other = old.with_name(f"{temporary.PREFIX}0{temporary.SUFFIX}")
    other.write_bytes(b"whose?")
    monkeypatch.setattr(temporary, "fcntl", None)
    write_atomically(old, b"new")
    assert sorted(old.parent.iterdir()) == sorted([old, other])


def test_what_is_no_file_is_not_removed(old):
    (old.parent / f"{temporary.PREFIX}folder{temporary.SUFFIX}").mkdir()
    os.mkfifo(old.parent / f"{temporary.PREFIX}pipe{temporary.SUFFIX}")
    write_atomically(old, b"new")
    assert len(temporary_files(old.parent)) == 2
