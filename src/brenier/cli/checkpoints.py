"""`brenier fit --checkpoint FILE`: fits that go on after their process was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from brenier.cli.door import note

if TYPE_CHECKING:
    from brenier.io.journal import Entry, Journal
    from brenier.program.processes import Processes


def parted(checkpoint: str | None, begin_at: str | None) -> tuple[str | None, str | None]:
    """Return the file of a checkpoint and that of a model to begin at, whichever `--from` names."""
    if begin_at is None:
        return checkpoint, None
    from brenier.io.journal import is_journal

    if not is_journal(begin_at):
        return checkpoint, begin_at
    if checkpoint not in (None, begin_at):
        raise typer.BadParameter(
            f"--from {begin_at} is a checkpoint, which the fit is kept in as it goes on: leave out "
            "--checkpoint."
        )
    return begin_at, None


@contextmanager
def kept_in(
    path: str | None, processes: "Processes | None" = None, *, quiet: bool
) -> Iterator[None]:
    """Keep fits in a checkpoint meanwhile, if there is to be one; say where one goes on.

    Of several processes the first writes it, and all go on from what is in it.
    """
    if path is None:
        yield
        return
    from brenier.training.checkpoint import Checkpoint, opened

    def opened_by_first(path: str) -> "tuple[Journal | None, list[Entry]]":
        return _opened_by_first(path, processes)

    with Checkpoint(path, opened if processes is None else opened_by_first) as checkpoint:
        if checkpoint.goes_on and not quiet:
            note(f"Note: the fit goes on from {path}.")
        yield


def _opened_by_first(
    path: str, processes: "Processes | None"
) -> "tuple[Journal | None, list[Entry]]":
    """Return the journal in the first process, and what is in it in all of them."""
    from pathlib import Path

    from brenier.io.journal import entries_of
    from brenier.program.processes import agreed, bytes_of_first
    from brenier.training.checkpoint import opened

    is_first = processes is None or processes.is_first
    journal, _ = agreed(lambda: opened(path) if is_first else (None, []), ValueError)
    data = bytes_of_first(Path(path).read_bytes() if is_first else b"")
    return journal, entries_of(data)
