"""Saved densities scored with NumPy alone: no JAX, no scikit-learn, nothing to compile.

    from brenier import scoring

    density = scoring.load("model.brenier")
    density.score_samples(X), density.transform(X), density.inverse_transform(Z)

For servers and pipelines that read models and do not fit them: it is imported in a fraction of a
second, and needs NumPy and safetensors, `pip install --no-deps brenier numpy safetensors`; SciPy
besides where a column lies between two bounds. Numbers agree with those of the estimators to 1e-10.

`ConvexPotentialFlow`, also composed, `ConvexPotentialMixture` (its log-density),
`ConditionalConvexPotentialFlow`, `ConvexPotentialRegressor` (its density) and
`TriangularConvexPotentialFlow` are read; `ConditionalConvexPotentialMixture` is not.

Formulas are those of `brenier.flow` and `brenier.potential`, whose docstrings derive them; here
rows come first, and Hessians are full matrices. Arrays are float64 throughout; their shapes stand
in the docstrings, since jaxtyping is not among what is needed.
"""

from brenier.scoring.density import Chain, Conditional, Joint, Mixture
from brenier.scoring.load import load

__all__ = ["Chain", "Conditional", "Joint", "Mixture", "load"]
