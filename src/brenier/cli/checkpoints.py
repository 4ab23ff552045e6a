"""`brenier fit --checkpoint FILE`: fits that go on after their process was killed."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from brenier.cli.door import note


def parted(checkpoint: str | None, begin_at: str | None) -> tuple[str | None, str | None]:
    """Return the file of a checkpoint and that of a model to begin at, whichever `--from` names."""
    from brenier.io.journal import is_journal

    if begin_at is None or not is_journal(begin_at):
        return checkpoint, begin_at
    if checkpoint not in (None, begin_at):
        raise typer.BadParameter(
            f"--from {begin_at} is a checkpoint, which the fit is kept in as it goes on: leave out "
            "--checkpoint."
        )
    return begin_at, None


@contextmanager
def kept_in(path: str | None, *, quiet: bool) -> Iterator[None]:
    """Keep fits in a checkpoint meanwhile, if there is to be one; say where one goes on."""
    if path is None:
        yield
        return
    from brenier.training.checkpoint import Checkpoint

    with Checkpoint(path) as checkpoint:
        if checkpoint.goes_on and not quiet:
            note(f"Note: the fit goes on from {path}.")
        yield
