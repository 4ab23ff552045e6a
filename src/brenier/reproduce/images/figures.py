"""Pictures of images: drawn ones, with their nearest training images; carried to z and back."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brenier.reproduce.images.data import Images
from brenier.reproduce.images.fits import Fit
from brenier.reproduce.images.setting import FLOW, OURS
from brenier.reproduce.picture import Picture, new_figure

# Images of a side of a grid; images of a row.
SIDE, ROW = 8, 12
# Of images, and of z, where grey is zero.
GREYS, DIVERGING = "gray_r", "RdBu_r"
# Standard deviations from zero to where colours end.
FURTHEST_Z = 3.0
# Inches of an image in a grid, and of what is written above.
INCH, TITLE = 0.42, 0.35
# Between images, in pixels of theirs.
GAP = 1

Pictures = Float[np.ndarray, "N side side"]


def figure_samples(rows: Images, fits: Sequence[Fit]) -> Picture:
    """Draw grids of training images and of images drawn from densities."""
    shown = [("training images", rows.values(rows.train))]
    shown += [(f"drawn from {fit.numbers.label}", fit.shown.drawn) for fit in fits]
    n = int(np.ceil(len(shown) / 2))
    figure = new_figure(n * SIDE * INCH, 2 * (SIDE * INCH + TITLE))
    axes = figure.subplots(2, n, squeeze=False).ravel()
    for ax, (title, pixels) in zip(axes, shown, strict=False):
        grid = tiled(rows.pictures(pixels[: SIDE**2]), SIDE)
        _show(ax, grid, rows, title)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    return Picture(
        f"{rows.images.name}-samples",
        f"{rows.images.title}: training images, and images drawn from every density, not chosen; "
        "noise within levels left on.",
        figure,
    )


def figure_round_trip(rows: Images, fits: Sequence[Fit]) -> Picture:
    """Draw test images, where a map carries them, and where they come back to."""
    fits = [fit for fit in fits if len(fit.shown.z)]
    figure, (test, *axes) = _strips(1 + 2 * len(fits))
    _show(test, tiled(rows.pictures(fits[0].shown.test[:ROW]), ROW), rows, "test images")
    for on_z, on_back, fit in zip(axes[::2], axes[1::2], fits, strict=True):
        z = tiled(rows.laid_out(fit.shown.z[:ROW], np.zeros(len(rows.vary))), ROW)
        what = f"z of {fit.numbers.label}; colours end at {FURTHEST_Z:g} standard deviations"
        _show_z(on_z, z, what)
        back = tiled(rows.pictures(fit.shown.back[:ROW]), ROW)
        furthest = f"furthest pixel of all test images: {fit.numbers.round_trip:.1e} levels"
        _show(on_back, back, rows, f"back from z; {furthest}")
    lost = ", ".join(
        f"{fit.numbers.n_lost} of {len(fit.shown.z)} ({fit.numbers.label})" for fit in fits
    )
    return Picture(
        f"{rows.images.name}-round-trip",
        f"{rows.images.title}: test images, carried to z and back. Of a mixture each by the map of "
        f"a component drawn for it. Images that did not come back: {lost}.",
        figure,
    )


def figure_nearest(rows: Images, fits: Sequence[Fit]) -> Picture:
    """Draw images of our densities beside the nearest training images."""
    fits = [fit for fit in fits if fit.numbers.label in (OURS, FLOW)]
    figure, axes = _strips(2 * len(fits))
    for drawn, nearest, fit in zip(axes[::2], axes[1::2], fits, strict=True):
        shown, numbers = fit.shown, fit.numbers
        title = f"drawn from {numbers.label}"
        _show(drawn, tiled(rows.pictures(shown.drawn[:ROW]), ROW), rows, title)
        title = (
            f"nearest training images; {numbers.nearest:.2f} levels away, "
            f"test images {numbers.nearest_of_test:.2f}"
        )
        _show(nearest, tiled(rows.pictures(shown.neighbours[:ROW]), ROW), rows, title)
    return Picture(
        f"{rows.images.name}-nearest",
        f"{rows.images.title}: drawn images, below each the nearest training image. Distances are "
        "root mean squares over the pixels that vary, means over images: were images learnt by "
        "heart, drawn ones would be much nearer than test images are.",
        figure,
    )


def _strips(n: int) -> tuple[Figure, list[Axes]]:
    """Return a figure for so many rows of images one below the other, and its axes."""
    figure = new_figure(2 * ROW * INCH, n * (2 * INCH + TITLE))
    return figure, [*figure.subplots(n, 1, squeeze=False).ravel()]


def tiled(pictures: Pictures, n_columns: int) -> Float[np.ndarray, "h w"]:
    """Return pictures as one, side by side in rows of so many, with gaps between."""
    N, side = len(pictures), pictures.shape[1]
    n_rows, step = -(-N // n_columns), side + GAP
    whole = np.zeros((n_rows * step - GAP, n_columns * step - GAP))
    for k, picture in enumerate(pictures):
        top, left = step * (k // n_columns), step * (k % n_columns)
        whole[top : top + side, left : left + side] = picture
    return whole


def _show(ax: Axes, picture: Float[np.ndarray, "h w"], rows: Images, title: str) -> None:
    ax.imshow(picture, cmap=GREYS, vmin=0, vmax=rows.images.levels, interpolation="nearest")
    _titled(ax, title)


def _show_z(ax: Axes, picture: Float[np.ndarray, "h w"], title: str) -> None:
    end = FURTHEST_Z
    ax.imshow(picture, cmap=DIVERGING, vmin=-end, vmax=end, interpolation="nearest")
    _titled(ax, title)


def _titled(ax: Axes, title: str) -> None:
    ax.set_axis_off()
    ax.set_title(title, fontsize="small", loc="left")
