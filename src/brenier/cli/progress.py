"""The progress of a fit on standard error: a live line in a terminal, few plain ones elsewhere."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from brenier.cli.door import note

if TYPE_CHECKING:
    from rich.progress import Progress as Display

    from brenier.optimizers.progress import Progress

Callback = Callable[["Progress"], None]


@contextmanager
def shown_progress(title: str, *, quiet: bool) -> Iterator[Callback | None]:
    """Yield what `fit` shall call after every iteration; the live line is gone at the end."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield None
    elif not console.is_terminal:
        note(title)
        yield _print_some
    else:
        with _display(console) as display:
            yield _update(display, title)


def _print_some(progress: "Progress") -> None:
    # Iterations 1, 4, 16, 64, ...: a log of a long fit gets a few lines a run, not hundreds.
    if progress.iteration.bit_count() == 1 and progress.iteration.bit_length() % 2 == 1:
        note(str(progress))


def _display(console) -> "Display":
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    return Progress(SpinnerColumn(), text, TimeElapsedColumn(), console=console, transient=True)


def _update(display: "Display", title: str) -> Callback:
    task = display.add_task(f"{title}: compiling")

    def on_iteration(progress: "Progress") -> None:
        text = f"run {progress.run}  iteration {progress.iteration}"
        text += f"  train {progress.train_log_likelihood:.4f}"
        if not math.isnan(progress.heldout_log_likelihood):
            text += f"  held out {progress.heldout_log_likelihood:.4f}"
        display.update(task, description=f"{text} nats/row")

    return on_iteration
