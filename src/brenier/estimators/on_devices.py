"""Devices that fits share their rows over: of the machine, and so no setting of an estimator."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from brenier.program.devices import n_devices

_ASKED: ContextVar[int | None] = ContextVar("brenier-devices", default=None)


@contextmanager
def devices(n: int | str) -> Iterator[int]:
    """Let fits within share their rows over several devices: GPUs, or parts of a CPU.

    What sees all rows is computed by all devices, each on its own rows: every step of a fit on at
    most 8192 rows or with `Algorithm(optimizer="lbfgs-varpro")`, held-out losses, the final solve.
    A descent by mini-batches, which longer tables get by default, stays on one device.

    The result depends on the number of devices by no more than rounding. It differs from that of a
    fit without this, whose sums over rows have another order.

    Parameters
    ----------
    n : int or "all"
        How many: 1, 2, 4 or 8. "all": as many of these as there are.

    Examples
    --------
    >>> import brenier
    >>> from brenier.data.datasets import MAFMoon
    >>> X = MAFMoon().sample(300, random_state=0)
    >>> with brenier.devices("all") as n:
    ...     flow = brenier.ConvexPotentialFlow(widths=(8,), max_iter=20).fit(X)
    """
    found = n_devices(n)
    token = _ASKED.set(found)
    try:
        yield found
    finally:
        _ASKED.reset(token)


def asked() -> int | None:
    """Return how many devices fits share their rows over here; None where nothing was said."""
    return _ASKED.get()
