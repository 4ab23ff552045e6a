"""brenier: density estimation with convex potential flows, trained by variable projection.

Names are imported when first used, so that `import brenier` and `brenier --help` stay fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brenier.data.draws import from_arviz, to_arviz, to_chains
    from brenier.estimators import (
        ConditionalConvexPotentialFlow,
        ConditionalConvexPotentialMixture,
        ConvexFunctionRegressor,
        ConvexPotentialFlow,
        ConvexPotentialMixture,
        ConvexPotentialRegressor,
        TriangularConvexPotentialFlow,
        VarProRegressor,
        bures_map,
        compare,
        fit_auto,
        load,
        transport,
    )
    from brenier.estimators.on_devices import devices
    from brenier.training.algorithm import Algorithm
    from brenier.training.checkpoint import Checkpoint
    from brenier.varpro.taylor import taylor_check
    from brenier.version import __version__

_HOME = {
    "Algorithm": "brenier.training.algorithm",
    "Checkpoint": "brenier.training.checkpoint",
    "ConditionalConvexPotentialFlow": "brenier.estimators",
    "ConditionalConvexPotentialMixture": "brenier.estimators",
    "ConvexFunctionRegressor": "brenier.estimators",
    "ConvexPotentialFlow": "brenier.estimators",
    "ConvexPotentialMixture": "brenier.estimators",
    "ConvexPotentialRegressor": "brenier.estimators",
    "TriangularConvexPotentialFlow": "brenier.estimators",
    "VarProRegressor": "brenier.estimators",
    "bures_map": "brenier.estimators",
    "compare": "brenier.estimators",
    "devices": "brenier.estimators.on_devices",
    "fit_auto": "brenier.estimators",
    "from_arviz": "brenier.data.draws",
    "load": "brenier.estimators",
    "taylor_check": "brenier.varpro.taylor",
    "to_arviz": "brenier.data.draws",
    "to_chains": "brenier.data.draws",
    "transport": "brenier.estimators",
    "__version__": "brenier.version",
}

__all__ = [
    "Algorithm",
    "Checkpoint",
    "ConditionalConvexPotentialFlow",
    "ConditionalConvexPotentialMixture",
    "ConvexFunctionRegressor",
    "ConvexPotentialFlow",
    "ConvexPotentialMixture",
    "ConvexPotentialRegressor",
    "TriangularConvexPotentialFlow",
    "VarProRegressor",
    "__version__",
    "bures_map",
    "compare",
    "devices",
    "fit_auto",
    "from_arviz",
    "load",
    "taylor_check",
    "to_arviz",
    "to_chains",
    "transport",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'brenier' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
