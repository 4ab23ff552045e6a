"""scikit-learn's own checks, all of them, on every estimator, with no expected failure.

The checks fit tables of some thirty shapes, and compilation is what they cost. The estimators have
the same settings, so that they share their programs, and train without elimination: the solver's
program is the longest to compile, and other tests' business. A block-triangular density is a flow a
column: of it, and of mixtures, the checks see what a fit without time returns, Gaussians and
regressions, which go through all the same methods.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from brenier import (
    Algorithm,
    ConditionalConvexPotentialFlow,
    ConditionalConvexPotentialMixture,
    ConvexPotentialFlow,
    ConvexPotentialMixture,
    ConvexPotentialRegressor,
    TriangularConvexPotentialFlow,
)

pytestmark = [
    # Fits here end early, on few or rounded rows, and are asked about rows far away.
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status:sklearn.exceptions.ConvergenceWarning"
    ),
    pytest.mark.filterwarnings("ignore:Expected:brenier.status.InputWarning"),
    pytest.mark.filterwarnings("ignore:.*far outside the training:brenier.status.InputWarning"),
]

# Where rows are held out, copies of a row and its weight are not the same: the copies are too few
# to be held out as many times.
SMALL = {"widths": (2,), "max_iter": 2, "n_estimators": 1, "validation_fraction": 0.0}
SMALL |= {"algorithm": Algorithm(optimizer="lbfgs-full")}
JOINT = SMALL | {"n_radial": 0, "decay": 1e-3}
CONDITIONAL = SMALL | {"context_widths": (2,), "n_gates": 0, "decay": 1e-2}


@parametrize_with_checks(
    [
        ConvexPotentialFlow(**JOINT),
        ConvexPotentialMixture(max_seconds=0.0),
        ConvexPotentialRegressor(**CONDITIONAL),
        ConditionalConvexPotentialFlow(**CONDITIONAL),
        ConditionalConvexPotentialMixture(max_seconds=0.0),
        TriangularConvexPotentialFlow(
            leading=ConvexPotentialFlow(**JOINT),
            following=ConditionalConvexPotentialFlow(**CONDITIONAL),
            max_seconds=0.0,
        ),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
