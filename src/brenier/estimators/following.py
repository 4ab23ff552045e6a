"""Who follows a fit: a user's callback, or a listener; and what `verbose` prints."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from brenier.optimizers.progress import Progress, ProgressCallback
from brenier.training.phases import Listener, PhaseLines

# From where on `verbose` prints iterates, not only phases.
VERBOSE_ITERATES = 2


@dataclass(frozen=True)
class Following:
    """Who follows a fit, and since when its seconds count.

    Attributes
    ----------
    callback : callable or None
        Called after every iterate.
    listener : Listener or None
        Told of phases.
    began : float
        By `time.perf_counter`.
    """

    callback: ProgressCallback | None
    listener: Listener | None
    began: float

    @staticmethod
    def of(callback: Any, verbose: int) -> "Following":
        """Return who follows a fit that begins now: a user's callback, and what `verbose` prints.

        Parameters
        ----------
        callback : callable, Listener or None
            As in `fit`.
        verbose : int
            1: a line a phase; more: also every so many iterates.
        """
        began = time.perf_counter()
        if isinstance(callback, Listener):
            return Following(None, callback, began if callback.began is None else callback.began)
        listener = PhaseLines(_print) if verbose else None
        return Following(_told(callback, verbose), listener, began)


def _told(
    callback: Callable[[Progress], None] | None, verbose: int
) -> Callable[[Progress], None] | None:
    """Return what is called after every iterate: the user's callback, and what prints; or None."""
    if verbose < VERBOSE_ITERATES:
        return callback

    def on_iteration(progress: Progress) -> None:
        if callback is not None:
            callback(progress)
        if progress.iteration % verbose == 0 or progress.iteration == 1:
            _print(str(progress))

    return on_iteration


def _print(text: str) -> None:
    print(text)  # noqa: T201 - what `verbose` asks for
