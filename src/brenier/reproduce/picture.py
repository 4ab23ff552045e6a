"""A figure of a report, and its files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from brenier.io.atomic import write_atomically

DPI = 130
# Between panels, inches: labels of one do not touch the title or the legend of the next.
PADDING = 0.12


@dataclass(frozen=True)
class Picture:
    """A figure, its file name without ending, and what it shows."""

    name: str
    caption: str
    figure: Figure

    def encoded(self, form: str) -> bytes:
        """Return the file's bytes, "png" or "svg", the same for the same figure."""
        out = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        self.figure.savefig(out, format=form, dpi=DPI, metadata=metadata)
        return out.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches, its panels well apart."""
    layout = ConstrainedLayoutEngine(w_pad=PADDING, h_pad=PADDING)
    return Figure(figsize=(width, height), layout=layout)


def write_pictures(folder: Path, pictures: Sequence[Picture]) -> list[bytes]:
    """Write every picture as PNG and SVG; return the PNGs."""
    pngs = []
    for picture in pictures:
        pngs.append(picture.encoded("png"))
        write_atomically(folder / f"{picture.name}.png", pngs[-1])
        write_atomically(folder / f"{picture.name}.svg", picture.encoded("svg"))
    return pngs
