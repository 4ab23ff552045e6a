"""Replacing a file whole or not at all: no failure leaves half a file, or a trace."""

import errno
import os
import stat

import pytest

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
