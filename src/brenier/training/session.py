"""What all runs of one fit share: a clock, a seed, who is told, and locks for compilation."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any

import jax
import numpy as np

from brenier.optimizers.early_stopping import Clock
from brenier.optimizers.progress import ProgressCallback
from brenier.training.parallel import one_at_a_time


@dataclass(frozen=True)
class Session:
    """One fit.

    Attributes
    ----------
    clock : Clock
        When it began and must end.
    seed : int
        Of all that is random in it.
    tell : callable or None
        Who is told of every iterate, one call at a time.
    """

    clock: Clock = field(default_factory=Clock)
    seed: int = 0
    tell: ProgressCallback | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _compiling: dict[Hashable, Lock] = field(default_factory=dict)

    @staticmethod
    def begin(max_seconds: float | None, seed: int, callback: ProgressCallback | None) -> "Session":
        """Return the session of a fit that begins now."""
        tell = None if callback is None else one_at_a_time(callback)
        return Session(Clock(max_seconds), seed, tell)

    def next_run(self) -> int:
        """Return the number of the next run, counted from one."""
        return next(self._numbers)

    def compiling(self, arrays: Any) -> Lock:
        """Return the lock that is held while programs for arrays of these shapes are compiled.

        Of parallel runs whose arrays have the same shapes one compiles, the others wait for it.
        """
        leaves, structure = jax.tree.flatten(arrays)
        shapes = (structure, *(np.shape(leaf) for leaf in leaves))
        return self._compiling.setdefault(shapes, Lock())
