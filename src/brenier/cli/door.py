"""Where exceptions and warnings become plain lines on standard error, and an exit code."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from signal import SIGTERM

import typer

from brenier.cli.visible import visible
from brenier.training.signals import Watch, watched


class ExitCode(IntEnum):
    """What the process tells its caller."""

    DONE = 0
    BAD_INPUT = 1
    USAGE = 2
    NO_MODEL = 3
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


@contextmanager
def door(*, debug: bool, quiet: bool = False) -> Iterator[None]:
    """Run the body of a command: `Error: ...` or `Warning: ...` on stderr, never a traceback.

    Parameters
    ----------
    debug : bool
        Whether exceptions pass with their traceback.
    quiet : bool
        Whether warnings are dropped.
    """
    with warnings.catch_warnings(record=True) as caught, watched() as signals:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        except typer.Exit as ended:
            code, message = _of_signal(ended.exit_code, signals), None
        except Exception as error:
            code = _exit_code(error)
            if code is None or (debug and code is ExitCode.BAD_INPUT):
                raise
            message = None if code is ExitCode.BROKEN_PIPE else f"Error: {_paragraph(error)}"
        except KeyboardInterrupt:
            code = _of_signal(ExitCode.INTERRUPTED, signals)
            message = "Terminated." if code is ExitCode.TERMINATED else "Interrupted."
        else:
            code = message = None
        finally:
            if not quiet:
                for text in dict.fromkeys(_paragraph(warning.message) for warning in caught):
                    note(f"Warning: {text}")
    if code is not None:
        _drop_unwritten_output()
        if message:
            note(message)
        raise typer.Exit(code)


def note(text: str) -> None:
    """Print a line on standard error; where that cannot be written, the work goes on."""
    with suppress(OSError, ValueError):
        typer.echo(visible(text), err=True)


def _of_signal(code: int, signals: Watch) -> int:
    """Return the code of what SIGTERM has interrupted, else the code as it is."""
    terminated = code == ExitCode.INTERRUPTED and signals.number == SIGTERM
    return ExitCode.TERMINATED if terminated else code


def _exit_code(error: Exception) -> ExitCode | None:
    """Return the code for what input or surroundings can cause; None for typer's own and bugs."""
    if isinstance(error, typer.Abort):
        return None
    if isinstance(error, BrokenPipeError):
        return ExitCode.BROKEN_PIPE
    # RuntimeError: JAX's, of a machine without the memory for a table, among others.
    expected = isinstance(error, ValueError | OSError | RuntimeError | MemoryError)
    return ExitCode.BAD_INPUT if expected else None


def _paragraph(error: BaseException | str) -> str:
    return " ".join(str(error).splitlines()) or type(error).__name__


def _drop_unwritten_output() -> None:
    """Keep Python from trying once more, at exit, to write what could not be written."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
