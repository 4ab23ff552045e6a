r"""The Taylor remainder check of a gradient, as in the thesis's Table 3.1.

For a smooth function and its true gradient g, along a direction d,

    | F(mu + h d) - F(mu) |  = O(h),    | F(mu + h d) - F(mu) - h g . d |  = O(h^2):

halving h divides the second error by four, until rounding or the inner tolerance.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float


def taylor_check(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]],
    theta: Float[np.ndarray, " p"],
    direction: Float[np.ndarray, " p"],
    *,
    h: Float[np.ndarray, " k"] | None = None,
) -> np.ndarray:
    """Compare a function with its first-order Taylor expansion at shrinking steps.

    Parameters
    ----------
    function : callable, (p,) -> (float, (p,))
        Value and gradient.
    theta, direction : (p,)
        Where, and along what.
    h : (k,), optional
        Steps; by default 2^-1, ..., 2^-12.

    Returns
    -------
    structured array, (k,), with fields
        `h`; `zeroth`, the error without the gradient term; `error`, the one with it; `ratio`, the
        previous `error` over this one (4 for h halved and a right gradient); `order`, the
        observed order log(ratio) / log(h_before / h).

    Raises
    ------
    ValueError
        If `theta` and `direction` differ in shape.

    References
    ----------
    Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection", Emory
    University, 2023, Table 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from brenier import taylor_check
    >>> table = taylor_check(lambda x: (np.sum(x**3), 3 * x**2), np.ones(2), np.ones(2))
    >>> bool(abs(table["order"][-1] - 2) < 0.01)
    True
    """
    theta, direction = np.asarray(theta, float), np.asarray(direction, float)
    if theta.shape != direction.shape:
        raise ValueError(
            f"Expected a direction of theta's shape {theta.shape}; got {direction.shape}."
        )
    steps = 0.5 ** np.arange(1, 13) if h is None else np.asarray(h, float)
    value, gradient = function(theta)
    slope = float(gradient @ direction)
    change = np.array([function(theta + step * direction)[0] - value for step in steps])
    table = np.zeros(
        len(steps), dtype=[(name, float) for name in ("h", "zeroth", "error", "ratio", "order")]
    )
    table["h"] = steps
    table["zeroth"] = np.abs(change)
    table["error"] = error = np.abs(change - steps * slope)
    table["ratio"][0] = table["order"][0] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        table["ratio"][1:] = error[:-1] / error[1:]
        table["order"][1:] = np.log(table["ratio"][1:]) / np.log(steps[:-1] / steps[1:])
    return table
