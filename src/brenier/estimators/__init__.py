"""scikit-learn doors: NumPy in, NumPy float64 out.

JAX computes in float32 unless told otherwise; every public method here enters
`jax.enable_x64(True)` for its own duration and keeps fitted arrays as NumPy, so the caller's
settings are never touched.
"""

from brenier.estimators.auto import fit_auto
from brenier.estimators.comparing import compare
from brenier.estimators.conditional import ConditionalConvexPotentialFlow
from brenier.estimators.conditional_mixture import ConditionalConvexPotentialMixture
from brenier.estimators.convex_regression import ConvexFunctionRegressor
from brenier.estimators.joint import ConvexPotentialFlow
from brenier.estimators.load import load
from brenier.estimators.mixture import ConvexPotentialMixture
from brenier.estimators.regressor import ConvexPotentialRegressor
from brenier.estimators.transport import bures_map, transport
from brenier.estimators.triangular import TriangularConvexPotentialFlow
from brenier.estimators.varpro_regressor import VarProRegressor

__all__ = [
    "ConditionalConvexPotentialFlow",
    "ConditionalConvexPotentialMixture",
    "ConvexFunctionRegressor",
    "ConvexPotentialFlow",
    "ConvexPotentialMixture",
    "ConvexPotentialRegressor",
    "TriangularConvexPotentialFlow",
    "VarProRegressor",
    "bures_map",
    "compare",
    "fit_auto",
    "load",
    "transport",
]
