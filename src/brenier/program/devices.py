r"""Rows shared over devices: where they lie, and sums over all of them.

Rows are cut into a fixed number of segments, whatever the number of devices. A device holds some of
them, one after the other; a sum over rows is one of every segment's, made as on a single device,
and the segments' sums, gathered, are added two by two:

    sum = ((s_1 + s_2) + (s_3 + s_4)) + ((s_5 + s_6) + (s_7 + s_8)).

So the number of devices changes no order of additions. All else is computed by every device for
itself, from the same numbers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import jax
import numpy as np
from jax.errors import JaxRuntimeError
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, PyTree

# Parts that rows are cut into: the numbers of devices that are possible are its divisors.
SEGMENTS = 8
AXIS = "brenier_rows"
ALL = "all"
SHARED, EVERYWHERE = PartitionSpec(AXIS), PartitionSpec()
# How long the end of another process may take to be seen (seconds).
SETTLE = 10.0
# Of two programs that run on several devices at once, each might wait for the other's.
ONE_AT_A_TIME = Lock()


def n_devices(asked: int | str) -> int:
    """Return how many devices rows are shared over; of "all", as many as segments allow.

    Raises
    ------
    ValueError
        If there are not so many, or segments cannot be dealt to them evenly.
    """
    possible = [n for n in range(1, SEGMENTS + 1) if SEGMENTS % n == 0]
    there = jax.device_count()
    if asked == ALL:
        return max(n for n in possible if n <= there)
    if isinstance(asked, bool) or asked not in possible:
        raise ValueError(
            f"Expected devices to be 'all' or one of {', '.join(map(str, possible))}; got "
            f"{asked!r}. Rows are cut into {SEGMENTS} parts, as many for each device."
        )
    if int(asked) > there:
        raise ValueError(
            f"Expected devices to be at most {there}, which JAX has here; got {asked}. To have "
            f"more on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count={asked}."
        )
    return int(asked)


def mesh_of(n: int) -> Mesh:
    """Return so many devices in a row."""
    return Mesh(np.asarray(jax.devices()[:n]), (AXIS,))


def share(
    shape: tuple[int, ...], segments: Callable[[range], np.ndarray], n: int
) -> Float[jax.Array, "..."]:
    """Return an array of which each of n devices holds its own segments only.

    Parameters
    ----------
    shape : tuple of int
        Of the whole, its first axis the segments.
    segments : callable
        Return those of some numbers; asked for a device's own here.
    n : int
        How many devices.
    """

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        return segments(range(shape[0])[slice(None) if index is None else index[0]])

    return jax.make_array_from_callback(shape, NamedSharding(mesh_of(n), SHARED), part)


def mesh_shared_over(leaf: Any) -> Mesh | None:
    """Return the devices that an array is shared over by its segments; None of any other."""
    sharding = getattr(leaf, "sharding", None)
    if not isinstance(sharding, NamedSharding) or sharding.spec[:1] != (AXIS,):
        return None
    return sharding.mesh if isinstance(sharding.mesh, Mesh) else None


def on_every_device(
    function: Callable[[list[Any]], list[Any]], arrays: Sequence[Any], mesh: Mesh
) -> Callable[[list[Any]], list[Any]]:
    """Return a function of arrays as each device runs it, on its own part of those shared.

    Its results are the same everywhere.
    """
    specs = [EVERYWHERE if mesh_shared_over(leaf) is None else SHARED for leaf in arrays]
    # What is the same everywhere is so because every device computes it.
    return jax.shard_map(
        function, mesh=mesh, in_specs=(specs,), out_specs=EVERYWHERE, check_vma=False
    )


def sum_over_segments(function: Callable[[Any], PyTree], segments: PyTree) -> PyTree:
    """Return the sum of `function` over all devices' segments, within a program of theirs.

    Parameters
    ----------
    function : callable
        Of one segment.
    segments : pytree with leading axis
        This device's.
    """
    of_each = jax.lax.map(function, segments)
    _, joined = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], of_each))
    own = jax.vmap(lambda one: ravel_pytree(one)[0])(of_each)
    return joined(_added(jax.lax.all_gather(own, AXIS, tiled=True)))


@contextmanager
def peers_seen() -> Iterator[None]:
    """Raise what is raised within, after some time for who watches other processes.

    Where one of them is gone, it ends this one (`brenier.program.processes`); what JAX says is that
    a connection is lost.
    """
    try:
        yield
    except (JaxRuntimeError, ValueError):
        if jax.process_count() > 1:
            time.sleep(SETTLE)
        raise


def _added(of_each: Float[jax.Array, "S k"]) -> Float[jax.Array, " k"]:
    """Return the sum of rows, a power of two of them, two by two."""
    while len(of_each) > 1:
        of_each = of_each[0::2] + of_each[1::2]
    return of_each[0]
