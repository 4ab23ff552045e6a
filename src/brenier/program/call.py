"""The decorator of functions of arrays: compiled at their first call for each shape.

Compiled programs are kept in a folder (`brenier.program.kept`), where they are found without being
traced, and in memory as long as they are used; JAX's own caches, and its settings, are left alone.

XLA's newer way of writing a loop's code for CPUs sets up a compiler of its own for each loop, which
takes longer than all else; without it these programs compile in little more than half the time and
run as fast (benchmarks/NOTES.md, "Compilation"). They run faster in an order that reuses memory
than in one that keeps operations apart for many threads, and where sums are loops of XLA's own
along with what is summed, while products of matrices are left to its library.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from threading import Lock, RLock
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.core import Tracer
from jax.errors import JaxRuntimeError
from jax.sharding import Mesh
from jax.stages import Compiled

from brenier.program.devices import (
    ONE_AT_A_TIME,
    mesh_shared_over,
    on_every_device,
    peers_seen,
)
from brenier.program.kept import load, save
from brenier.program.key import Call, is_array, setting
from brenier.program.process import check_process

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

ON_CPU = MappingProxyType(
    {
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_enable_concurrency_optimized_scheduler": False,
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
    }
)
# Programs held in memory; a default fit needs about fifteen.
MOST_HELD = 64
# Tracing needs Python's lock: where several programs are wanted, one is traced after the other, and
# those traced before compile meanwhile.
_TRACING = RLock()


def program(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return the function compiled, as a decorator of functions and methods.

    Arrays among its arguments are traced, all else is part of the program. It returns arrays, in
    any pytree. Within another program the function is a part of that. Where arrays are shared over
    devices (`brenier.program.devices`), each runs the function on its own part of them.
    """

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        leaves, structure = jax.tree.flatten((args, kwargs))
        if setting("jax_disable_jit") or any(isinstance(leaf, Tracer) for leaf in leaves):
            return function(*args, **kwargs)
        arrays = [leaf for leaf in leaves if is_array(leaf)]
        return HELD.get(Call(function, structure, leaves), arrays)(arrays)

    return call


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes
    ----------
    executable : Compiled
        From a list of arrays to a list of arrays.
    result : pytree of int
        What the second list is made into: where each of its arrays goes.
    """

    executable: Compiled
    result: Any

    def __call__(self, arrays: list[Any]) -> Any:
        """Return the result."""
        found = self.executable(arrays)
        return jax.tree.map(lambda k: found[k], self.result)


@dataclass(frozen=True)
class SharedProgram:
    """A program of several devices, which returns when all of them have done with it.

    Attributes
    ----------
    executable, result
        As of `Program`.
    """

    executable: Compiled
    result: Any

    def __call__(self, arrays: list[Any]) -> Any:
        """Return the result, in NumPy arrays: it is the same on every device."""
        with ONE_AT_A_TIME, peers_seen():
            found = [np.asarray(leaf) for leaf in self.executable(_for_all(arrays))]
        return jax.tree.map(lambda k: found[k], self.result)


@dataclass
class _Held:
    """The programs in use, those called last at the end; each is made once."""

    programs: OrderedDict[Call, "_Place"] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def get(self, called: Call, arrays: list[Any]) -> Program | SharedProgram:
        """Return a call's program: held, kept in the folder, or compiled now."""
        check_process()
        with self.lock:
            place = self.programs.setdefault(called, _Place())
            self.programs.move_to_end(called)
            while len(self.programs) > MOST_HELD:
                self.programs.popitem(last=False)
        with place.lock:
            if place.program is None:
                place.program = _found_or_compiled(called, arrays)
            return place.program


@dataclass
class _Place:
    """Where a program is held; whoever has the lock makes it."""

    program: Program | SharedProgram | None = None
    lock: Lock = field(default_factory=Lock)


HELD = _Held()


def _found_or_compiled(called: Call, arrays: list[Any]) -> Program | SharedProgram:
    mesh = next(filter(None, map(mesh_shared_over, arrays)), None)
    if mesh is not None:
        return _compiled_for_all(called, _for_all(arrays), mesh)
    digest = called.digest(dict(ON_CPU))
    kept = None if digest is None else load(digest)
    if kept is not None:
        return Program(*kept)
    made = _compiled(called, arrays)
    if digest is not None:
        save(digest, made.executable, made.result)
    return made


def _compiled(called: Call, arrays: list[Any]) -> Program:
    return Program(*_executable(called, arrays, lambda function: function))


def _compiled_for_all(called: Call, arrays: list[Any], mesh: Mesh) -> SharedProgram:
    return SharedProgram(
        *_executable(called, arrays, lambda function: on_every_device(function, arrays, mesh))
    )


def _for_all(arrays: list[Any]) -> list[Any]:
    """Return arrays as all devices take them: those not shared are on none of them yet."""
    return [np.asarray(leaf) if mesh_shared_over(leaf) is None else leaf for leaf in arrays]


def _executable(
    called: Call, arrays: list[Any], wrapped: Callable[[Any], Any]
) -> tuple[Compiled, Any]:
    """Return a call compiled, and what its list of arrays is made into."""
    structures = []

    def of_arrays(arrays: list[Any]) -> list[Any]:
        args, kwargs = called.arguments(arrays)
        leaves, structure = jax.tree.flatten(called.function(*args, **kwargs))
        structures.append(structure)
        return leaves

    of_arrays.__name__ = called.function.__name__
    with _TRACING:
        lowered = jax.jit(wrapped(of_arrays)).lower(arrays)
    executable = lowered.compile(compiler_options=_options())
    structure = structures[-1]
    return executable, jax.tree.unflatten(structure, range(structure.num_leaves))


@cache
def _options() -> dict[str, Any]:
    """Return the options of all programs, but for those that this XLA does not know."""
    if jax.default_backend() != "cpu":
        return {}
    if _are_known(ON_CPU):
        return dict(ON_CPU)
    return {name: value for name, value in ON_CPU.items() if _are_known({name: value})}


def _are_known(options: Mapping[str, Any]) -> bool:
    try:
        jax.jit(lambda: 0.0, compiler_options=dict(options)).lower().compile()
    except (JaxRuntimeError, ValueError):
        return False
    return True
