"""Write the page "Plots" and its pictures: `python docs/plots.py`.

Each picture is drawn by the line that the page shows beside it, from two small fits.
"""

import inspect
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib import pyplot as plt
from sklearn.exceptions import ConvergenceWarning

from brenier import ConvexPotentialFlow, plots
from brenier.data.datasets import MAFMoon

PAGE = Path(__file__).with_suffix(".md")
IMAGES = PAGE.parent / "images" / "plots"
DRAWS = PAGE.parents[1] / "examples" / "garch11.csv"
DPI = 80
N_ROWS, N_NEW = 2000, 1000


@dataclass(frozen=True)
class Picture:
    """A function of `brenier.plots`, the line that draws it, and the command that does the same."""

    function: str
    line: str
    command: str

    @property
    def image(self) -> str:
        """The picture's place, seen from the page."""
        return f"images/plots/{self.function}.png"


PICTURES = (
    Picture("plot_density", "plot_density(flow, X)", "brenier plot moon.brenier moon.csv"),
    Picture("plot_map", "plot_map(flow, X)", "brenier plot moon.brenier moon.csv --kind map"),
    Picture(
        "plot_samples",
        'plot_samples(posterior, draws, columns=["mu", "alpha1", "beta1"])',
        "brenier plot garch11.brenier examples/garch11.csv --columns mu,alpha1,beta1",
    ),
    Picture(
        "plot_normal",
        "plot_normal(flow, X_new)",
        "brenier plot moon.brenier new.csv --kind normal",
    ),
    Picture(
        "plot_calibration",
        "plot_calibration(flow, X_new)",
        "brenier plot moon.brenier new.csv --kind calibration",
    ),
    Picture(
        "plot_training",
        "plot_training(flow.report_)",
        "brenier plot moon.brenier --kind training",
    ),
)
HEAD = """# Plots

This page and its pictures are made by `python docs/plots.py`.

The functions of `brenier.plots` draw a fitted flow. They need matplotlib: `pip install
'brenier[plots]'`. Each draws on the axes or the figure that it is given (`ax=`, `fig=`), makes
new ones if there are none, and returns what it drew on: `plot_density(flow,
X).figure.savefig("density.png")`.

The [reference](api.md#plots) has all their arguments. Here `flow` is a fit of two columns, `X`
the rows it was fitted to, `X_new` others; `posterior` is a fit of four columns to `draws`. Tables
may have more columns than the fit where that was told its own (`columns=`).

From the command line it is `brenier plot MODEL [DATA] -o FILE`, the ending `.png`, `.svg` or
`.pdf`. Without `--kind` it draws the density of one or two columns, of more columns samples,
beside the rows of DATA where there are any. Of a density given a context it needs DATA, whose
contexts it draws samples at. `--columns` chooses columns, six at most.
"""


def text() -> str:
    """Return the page."""
    return HEAD + "".join(_part(picture) for picture in PICTURES)


def _part(picture: Picture) -> str:
    doc = inspect.getdoc(getattr(plots, picture.function)) or ""
    what, more, *_ = doc.split("\n\n")
    more = "" if more.startswith("Parameters") else f"\n{more}\n"
    return f"""
## {picture.function}

{what}
{more}
```python
{picture.line}
```

```console
{picture.command} -o picture.png
```

![{what}]({picture.image})
"""


def fits() -> dict[str, Any]:
    """Return what the lines name: two small fits and their rows."""
    X, X_new = (MAFMoon().sample(n, random_state=k) for k, n in enumerate((N_ROWS, N_NEW)))
    draws = pl.read_csv(DRAWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        flow = ConvexPotentialFlow(n_estimators=1, max_iter=200).fit(X)
        posterior = ConvexPotentialFlow(n_estimators=1, max_iter=100).fit(draws)
    return {"flow": flow, "X": X, "X_new": X_new, "posterior": posterior, "draws": draws}


def draw(picture: Picture, names: dict[str, Any]) -> Any:
    """Run the line of a picture; return the figure."""
    drawn = eval(picture.line, {picture.function: getattr(plots, picture.function), **names})
    return getattr(drawn, "figure", drawn)


def main() -> None:
    """Write page and pictures."""
    mpl.use("Agg")
    PAGE.write_text(text())
    IMAGES.mkdir(exist_ok=True)
    names = fits()
    for picture in PICTURES:
        figure = draw(picture, names)
        figure.savefig(PAGE.parent / picture.image, dpi=DPI, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
