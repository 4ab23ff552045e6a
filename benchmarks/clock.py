"""Wall time of kernels that are compared with each other."""

import time
from collections.abc import Callable, Mapping

import jax
import numpy as np


def interleaved(
    kernels: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 20,
    most_seconds: float = 60.0,
    pause: float = 0.0,
) -> dict[str, float]:
    """Return the median seconds of every kernel, run alternately so that all see the same machine.

    One call of each is left out, for compilation; rounds end early after `most_seconds`.
    `pause` (seconds) lets the threads of the kernel before fall asleep; a call that is not timed
    follows it, since the first one after a pause finds the processor's caches and clock cold.
    """
    for kernel in kernels.values():
        jax.block_until_ready(kernel())
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    end = time.perf_counter() + most_seconds
    for _ in range(rounds):
        for name, kernel in kernels.items():
            if pause:
                time.sleep(pause)
                jax.block_until_ready(kernel())
            start = time.perf_counter()
            jax.block_until_ready(kernel())
            seconds[name].append(time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return {name: float(np.median(spent)) for name, spent in seconds.items()}
