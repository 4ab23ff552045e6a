"""Write the page "What the default fit does", and its picture: `python docs/default_fit.py`.

The paragraph is that of `brenier.training.fit`, the table that of `brenier.training.settings`: the
page says what the program does.
"""

import pathlib
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from brenier.training import fit
from brenier.training.algorithm import Algorithm
from brenier.training.settings import NOT_TRIED, describe

HERE = pathlib.Path(__file__).parent
PAGE, PICTURE = HERE / "default_fit.md", HERE / "images" / "default_fit.png"
HEAD = """# What the default fit does

This page is made by `python docs/default_fit.py` from the program itself.

{paragraph}

![From rows to a model, step by step](images/default_fit.png)

It is one function, `fit` in `brenier.training.fit`; its calls are these steps, in this order.

## All numbers

Every number of the recipe is a field of `brenier.training.settings.Settings`. Defaults are those of
a density of all columns (*joint*); of a composition of several maps; of a density given a context;
and of a composition given a context, each where it differs. The last column is the heading of the
trial in `benchmarks/NOTES.md` that the number came from. Numbers of the solvers, such as steps and
tolerances of a line search, stand beside their formulas.

| number | what it does | joint | composed | given a context | both | trial |
|---|---|---|---|---|---|---|
"""
# Texts of the boxes, row by row of the picture; an arrow leads from each to the next.
STEPS = (
    (
        ("table", "rows, weights,\nbounds"),
        ("distinct rows", "merged, in an order\nof their contents"),
        ("split", "training and\nheld-out rows"),
        ("preprocessing", "bounds' maps,\nwhitening"),
        ("baseline", "the Gaussian of the\ntraining rows"),
    ),
    (
        ("noise", "on copies of rows with\nfine structure"),
        ("selection", "weight decay, radial\nunits: short runs,\nthe best goes on"),
        (
            "training",
            "every potential:\nL-BFGS over mu, w\nsolved for at each step,\nearly stopping",
        ),
        ("final solve", "w on all rows,\ncertificate"),
        ("weighted sum", "of potentials and\nthe Gaussian's,\nby held-out rows"),
    ),
    (
        ("composition", "several maps: one by\none on images, then\nall together"),
        ("fallback", "the Gaussian,\nif it is better"),
        ("tails", "given a context: as\nheavy as held-out\nrows ask for"),
        ("model", "flow, baseline,\nreport"),
    ),
)
WIDTH, HEIGHT, GAP, DROP = 2.2, 1.15, 0.45, 0.55
BLUE, GREY = "#0072B2", "0.35"


def text() -> str:
    """Return the page."""
    return HEAD.format(paragraph=_paragraph()) + "\n".join(_rows()) + "\n"


def picture() -> Figure:
    """Return the picture of the pipeline."""
    columns = max(len(row) for row in STEPS)
    size = columns * (WIDTH + GAP) + GAP, len(STEPS) * (HEIGHT + DROP) + DROP
    figure = Figure(figsize=size)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, size[0]), ylim=(0, size[1]))
    ax.set_axis_off()
    places = [
        (GAP + j * (WIDTH + GAP), size[1] - (i + 1) * (HEIGHT + DROP), step)
        for i, row in enumerate(STEPS)
        for j, step in enumerate(row)
    ]
    for x, y, (title, what) in places:
        box = FancyBboxPatch((x, y), WIDTH, HEIGHT, "round,pad=0.05", fc="white", ec=BLUE, lw=1.4)
        ax.add_patch(box)
        ax.text(x + WIDTH / 2, y + HEIGHT - 0.08, title, ha="center", va="top", weight="bold")
        ax.text(x + WIDTH / 2, y + HEIGHT - 0.38, what, ha="center", va="top", size=9)
    for (x, y, _), (x_next, y_next, _) in zip(places, places[1:], strict=False):
        ax.add_patch(_arrow(x, y, x_next, y_next))
    return figure


def _arrow(x: float, y: float, x_next: float, y_next: float) -> FancyArrowPatch:
    """Return the arrow from a box to the next one, beside it or at the head of the next row."""
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 14, "ec": GREY, "lw": 1.2}
    style["fc"] = "none" if y != y_next else GREY
    if y == y_next:
        start, end = (x + WIDTH + 0.06, y + HEIGHT / 2), (x_next - 0.06, y + HEIGHT / 2)
        return FancyArrowPatch(start, end, **style)
    out, into = x + WIDTH / 2, x_next + WIDTH / 2
    between = (y + y_next + HEIGHT) / 2
    corners = [(out, y - 0.06), (out, between), (into, between), (into, y_next + HEIGHT + 0.06)]
    return FancyArrowPatch(path=Path(corners), **style)


def _paragraph() -> str:
    _, *paragraphs = (fit.__doc__ or "").strip().split("\n\n")
    return "\n\n".join(paragraphs[:-1])


def _rows() -> list[str]:
    rows = []
    for one in describe():
        joint, *others = (_shown(value) for value in one.defaults)
        cells = [joint, *("" if other == joint else other for other in others)]
        trial = one.trial if one.trial == NOT_TRIED else f"*{one.trial}*"
        rows.append(f"| `{one.name}` | {one.what} | {' | '.join(cells)} | {trial} |")
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(entry) for entry in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "None"
    if isinstance(value, Algorithm):
        return f"{value.optimizer}, {value.inner}, {value.activation}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Write page and picture."""
    PAGE.write_text(text())
    picture().savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
