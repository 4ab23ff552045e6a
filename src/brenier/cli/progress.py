"""The progress of a fit on standard error: a live line in a terminal, a line a phase elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from brenier.cli.door import note
from brenier.cli.streams import Unfailing
from brenier.training.phases import READING, Event, Listener, PhaseLines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Display

    from brenier.optimizers.progress import Progress as Iterate

# Characters of the line: of the phase in words, and of the bar.
WORDS, BAR = 26, 24


class Silent(Listener):
    """Shows nothing."""

    def on_event(self, event: Event) -> None:
        """Show nothing."""


class LiveLine(Listener):
    """Shows the latest event in one line: phase, bar, seconds, log-likelihood.

    Parameters
    ----------
    display : rich.progress.Progress
        The line, with one task.
    """

    def __init__(self, display: "Display"):
        self._display = display
        self._task = display.add_task("", total=None, left="", likelihood="")

    def on_event(self, event: Event) -> None:
        """Show the event."""
        known = not math.isnan(event.share)
        self._display.update(
            self._task,
            description=event.words.ljust(WORDS),
            total=1.0 if known else None,
            completed=event.share if known else 0.0,
            left=event.time_left,
            likelihood=event.likelihood,
        )


@contextmanager
def shown_progress(*, quiet: bool, began: float | None = None) -> Iterator[Listener]:
    """Yield who shall be told of a fit; the live line is gone at the end.

    Parameters
    ----------
    quiet : bool
        Whether nothing is shown.
    began : float, optional
        When what is followed began, by `time.perf_counter`; None: now.
    """
    from rich.console import Console

    began = time.perf_counter() if began is None else began
    stream: Any = Unfailing(sys.stderr)
    console = Console(file=stream)
    if quiet or not console.is_terminal:
        listener = Silent() if quiet else PhaseLines(note)
        yield _beginning(listener, began)
    else:
        with _display(console, began) as display:
            yield _beginning(LiveLine(display), began)


@contextmanager
def shown_run(title: str) -> Iterator[Callable[["Iterate"], None]]:
    """Yield what shall be called after every iterate of a run; the live line is gone at the end."""
    with shown_progress(quiet=False) as listener:

        def on_iterate(progress: "Iterate") -> None:
            heldout = progress.heldout_log_likelihood
            reached = progress.train_log_likelihood if math.isnan(heldout) else heldout
            phase = f"{title}, iteration {progress.iteration}"
            listener.on_event(Event(phase, log_likelihood=reached))

        yield on_iterate


def _beginning(listener: Listener, began: float) -> Listener:
    listener.began = began
    listener.on_event(Event(READING, elapsed=time.perf_counter() - began))
    return listener


def _display(console: "Console", began: float) -> "Display":
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.text import Text

    class Elapsed(ProgressColumn):
        """Seconds since the beginning, which go on between events."""

        def render(self, task: Task) -> Text:
            return Text(f"{time.perf_counter() - began:4.0f} s", style="progress.elapsed")

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR),
        Elapsed(),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[likelihood]}", markup=False),
    )
    return Progress(*columns, console=console, transient=True)
