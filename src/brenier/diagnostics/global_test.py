"""One test of everything: the largest of all panels' statistics, each on its null scale.

Panels whose null distributions are simulated together are a family: the p-value of its largest
statistic is the share of tables of a right model in which the largest is as large. Of several
families the least p-value counts, times their number (Bonferroni), whatever their dependence: the
level is 5 % by construction.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.diagnosis import GlobalTest
from brenier.diagnostics.normality_panels import Family
from brenier.diagnostics.null_scale import LEVEL, NullScale


def global_test(families: Sequence[Family]) -> GlobalTest:
    """Return the test of all panels of several families."""
    each = [_largest(family) for family in families]
    p, negative, k = min((p, -scaled, k) for k, (p, scaled) in enumerate(each))
    panels = families[k].panels
    worst = max(panels, key=lambda panel: panel.scaled)
    n = sum(len(family.null) for family in families)
    return GlobalTest(-negative, min(1.0, p * len(families)), worst.name, LEVEL, n)


def _largest(family: Family) -> tuple[float, float]:
    """Return the p-value of a family's largest statistic, and it."""
    scaled = max(panel.scaled for panel in family.panels)
    samples: Float[np.ndarray, " S"] = family.null.max(axis=1)
    return NullScale.of(samples).p_value(scaled), scaled
