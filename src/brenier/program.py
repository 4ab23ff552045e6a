"""Programs: functions of arrays, compiled at their first call for each shape.

XLA's newer way of writing a loop's code for CPUs sets up a compiler of its own for each loop, which
takes longer than all else; without it these programs compile in little more than half the time and
run as fast (benchmarks/NOTES.md, "Compilation").
"""

from collections.abc import Callable
from functools import cache, wraps
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
from jax.core import Tracer
from jax.errors import JaxRuntimeError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_ON_CPU = MappingProxyType(
    {
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_enable_concurrency_optimized_scheduler": False,
    }
)


def program(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return the function compiled, as a decorator of functions and methods.

    Arrays among its arguments are traced, all else is part of the program. Within another program
    the function is a part of that.
    """

    @cache
    def compiled() -> Callable[Arguments, Result]:
        jit: Any = eqx.filter_jit
        return jit(function, compiler_options=_options())

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        leaves = jax.tree.leaves((args, kwargs))
        is_part = any(isinstance(leaf, Tracer) for leaf in leaves)
        return (function if is_part else compiled())(*args, **kwargs)

    return call


@cache
def _options() -> dict[str, Any]:
    """Return the options of all programs; none where this XLA does not know them."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0.0, compiler_options=dict(_ON_CPU)).lower().compile()
    except (JaxRuntimeError, ValueError):
        return {}
    return dict(_ON_CPU)
