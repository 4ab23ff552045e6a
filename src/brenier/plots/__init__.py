"""Pictures of a fitted flow: its density, its map, its samples, how it was found, whether it fits.

If the flow is right, z = grad Phi(y) of a row is a draw from the standard normal in n dimensions.
`plot_normal` and `plot_calibration` show whether it is; give them rows that were not trained on.

Rows are those that `score_samples` takes: of a flow fitted with `columns=`, tables may have others.

Every function draws on the axes (or figure) it is given, makes new ones with pyplot only if there
are none, changes no setting of matplotlib, and returns what it drew on. Colours can be told apart
by colour-blind people. Of many rows, 4000 evenly chosen ones are drawn as points; histograms and
shares are of all.

Examples
--------
For a fitted `flow` and rows `X`:

>>> from brenier.plots import plot_calibration, plot_density
>>> plot_density(flow, X).figure.savefig("density.png")
>>> plot_calibration(flow, X).get_xlabel()
'expected share: chi-squared(2) probability of |z|^2'
"""

try:
    import matplotlib  # noqa: F401 - is it there?
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "Expected matplotlib, which draws the figures; it is not installed. Install "
        "brenier[plots].",
        name="matplotlib",
    ) from error

from brenier.plots.calibration import plot_calibration
from brenier.plots.density import plot_density
from brenier.plots.flow import FittedFlow, InvertibleFlow
from brenier.plots.map import plot_map
from brenier.plots.normal import plot_normal
from brenier.plots.samples import plot_samples
from brenier.plots.training import plot_training

__all__ = [
    "FittedFlow",
    "InvertibleFlow",
    "plot_calibration",
    "plot_density",
    "plot_map",
    "plot_normal",
    "plot_samples",
    "plot_training",
]
