"""The process that compiled programs belong to: one forked from it cannot run them.

A forked process has the memory of the one that it was made of, and none of its threads: XLA would
wait for ever for those that run its programs.
"""

import os
from dataclasses import dataclass

import jax


@dataclass
class Owner:
    """The first process that used programs, by its number; None before."""

    pid: int | None = None

    def check(self) -> None:
        """Take note of this process if it is the first.

        Raises
        ------
        RuntimeError
            In a process forked from the first.
        """
        pid = os.getpid()
        if self.pid is None:
            self.pid = pid
        if self.pid != pid:
            raise RuntimeError(
                "Expected a process of its own for a fit or a score; got one forked from a process "
                "that has fitted, loaded or scored before, in which JAX would wait for ever. Start "
                "processes with multiprocessing.get_context('spawn'), or fork before the first use."
            )


OWNER = Owner()


def check_process() -> None:
    """Raise `RuntimeError` in a process that was forked from one that used programs."""
    OWNER.check()


def is_one_of_several() -> bool:
    """Return whether JAX computes with other processes' devices, too."""
    return jax.process_count() > 1
