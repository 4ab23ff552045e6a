"""What a compiled program depends on: in memory a key, between processes a digest."""

import hashlib
import importlib.metadata
import io
import os
import pickle
import platform
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from brenier.program.cores import n_cores
from brenier.program.devices import mesh_shared_over

# Whose code a digest vouches for: ours by its text, the others' by their versions.
PACKAGES = ("jax", "jaxlib", "equinox", "numpy", "optax")
STANDARD = ("builtins", "collections", "copyreg", "functools", "types")
# JAX's settings that change what is compiled.
SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_device",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_platforms",
)


class Call:
    """A function's call, but for what its arrays hold: equal where one program serves both.

    Parameters
    ----------
    function : callable
        What is called.
    structure : PyTreeDef
        Of its arguments.
    leaves : list
        Of its arguments.
    """

    def __init__(self, function: Callable[..., Any], structure: Any, leaves: list[Any]):
        self.function = function
        self._structure = structure
        self._leaves = tuple(_described(leaf) for leaf in leaves)
        self._settings = tuple(str(setting(name)) for name in SETTINGS)
        self._key = (function, structure, self._leaves, self._settings)
        self._hash = hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def arguments(self, arrays: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the function's arguments, made with these arrays."""
        found = iter(arrays)
        leaves = [leaf.value if isinstance(leaf, _Fixed) else next(found) for leaf in self._leaves]
        return jax.tree.unflatten(self._structure, leaves)

    def digest(self, options: Mapping[str, Any]) -> str | None:
        """Return what the program is known by in other processes, compiled with some options.

        None where it is made of code other than this package's and that of the libraries below it:
        who wrote that may change it under the same name. And where several processes compute
        together, each with devices of its own.
        """
        if jax.process_count() > 1:
            return None
        module, name = self.function.__module__, self.function.__qualname__
        if not _is_known(module) or "<locals>" in name:
            return None
        arguments = jax.tree.unflatten(self._structure, range(len(self._leaves)))
        whole = module, name, arguments, self._leaves, self._settings, sorted(options.items())
        try:
            text = _pickled(whole)
        except (pickle.PicklingError, TypeError, AttributeError):
            return None
        return hashlib.sha256(text + _surroundings()).hexdigest()


class _Form(NamedTuple):
    """What a program depends on of an array."""

    shape: tuple[int, ...]
    dtype: str
    weak_type: bool
    mesh: Mesh | None = None


class _Fixed(NamedTuple):
    """What is part of a program. 1, 1.0 and True are equal, and make different programs."""

    kind: type
    value: Any


def setting(name: str) -> Any:
    """Return what JAX is set to, here and in this thread."""
    return getattr(jax.config, name)


def is_array(leaf: Any) -> bool:
    """Return whether a leaf of a call's arguments is traced."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _described(leaf: Any) -> _Form | _Fixed:
    if is_array(leaf):
        return _Form(
            leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False), mesh_shared_over(leaf)
        )
    return _Fixed(type(leaf), leaf)


class _Pickler(pickle.Pickler):
    """Refuses what is made of code that a digest does not vouch for."""

    def reducer_override(self, obj: Any) -> Any:
        """Leave to pickle what is known."""
        maker = obj if isinstance(obj, type) or callable(obj) else type(obj)
        module = getattr(maker, "__module__", None) or ""
        if not _is_known(module):
            raise pickle.PicklingError(f"{obj!r} is of {module}")
        return NotImplemented


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in {"brenier", *PACKAGES, *STANDARD}


def _pickled(whole: Any) -> bytes:
    into = io.BytesIO()
    _Pickler(into, protocol=pickle.HIGHEST_PROTOCOL).dump(whole)
    return into.getvalue()


@cache
def _surroundings() -> bytes:
    """Return what programs depend on besides what is called: code, libraries, machine."""
    found = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        found.update(str(path.relative_to(root)).encode())
        found.update(path.read_bytes())
    device = jax.devices()[0]
    parts = [
        *(importlib.metadata.version(package) for package in PACKAGES),
        *(device.platform, device.device_kind, device.client.platform_version),
        *(platform.python_version(), platform.system(), platform.machine(), processor()),
        *(os.environ.get("XLA_FLAGS"), jax.config.read("jax_disable_most_optimizations")),
        # XLA shares a loop out among them.
        n_cores(),
    ]
    found.update(repr(parts).encode())
    return found.digest()


def processor() -> str:
    """Return what the processor can do, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU part")
    first = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    told = {name.strip(): value.strip() for name, value in first.items()}
    return repr([told.get(name) for name in wanted])
