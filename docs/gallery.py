"""Run the examples of the page "Gallery" and draw its pictures: `python docs/gallery.py [NAME...]`.

An example is a block of Python, which saves one picture; what it prints, if anything; and the
picture. The page is the only place where its code is. Each runs by itself, in a folder of its own.
"""

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from PIL import Image

PAGE = Path(__file__).with_suffix(".md")
IMAGES = PAGE.parent / "images" / "gallery"
DATA = PAGE.parents[1] / "examples" / "garch11.csv"
EXAMPLE = re.compile(
    r"```python\n(?P<code>(?:(?!```).)*?)```\n\n(?:```text\n(?P<printed>.*?)```\n\n)?"
    r"!\[(?P<words>[^\]]*)\]\(images/gallery/(?P<name>\w+)\.png\)",
    re.DOTALL,
)
DPI, N_COLORS = 72, 96
SETTINGS: dict[Any, Any] = {
    "savefig.dpi": DPI,
    "figure.figsize": (6.4, 4.0),
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Example:
    """An example of the page.

    Attributes
    ----------
    name : str
        What its picture is called, without the ending.
    code : str
        Lines of Python.
    printed : str
        What they print, as the page has it.
    words : str
        What the picture shows.
    """

    name: str
    code: str
    printed: str
    words: str

    def run(self, folder: Path) -> str:
        """Run the lines in a folder, where the picture is left; return what they print."""
        (folder / "examples").mkdir(exist_ok=True)
        shutil.copy(DATA, folder / "examples")
        printed = io.StringIO()
        before = Path.cwd()
        os.chdir(folder)
        try:
            with mpl.rc_context(SETTINGS), contextlib.redirect_stdout(printed):
                exec(compile(self.code, self.name, "exec"), {})
        finally:
            os.chdir(before)
            plt.close("all")
        return printed.getvalue()


def examples() -> list[Example]:
    """Return the examples of the page."""
    return [_example(found) for found in EXAMPLE.finditer(PAGE.read_text())]


def _example(found: re.Match[str]) -> Example:
    parts: dict[str, Any] = found.groupdict(default="")
    return Example(**parts)


def drawn(example: Example) -> str:
    """Draw the picture of an example; return what its lines print."""
    with tempfile.TemporaryDirectory() as folder:
        printed = example.run(Path(folder))
        picture = Image.open(Path(folder) / f"{example.name}.png").convert("RGB")
    picture.quantize(N_COLORS).save(IMAGES / f"{example.name}.png", optimize=True)
    return printed


def text(printed: Mapping[str, str]) -> str:
    """Return the page with what examples print, by their names; the others as they are."""
    return EXAMPLE.sub(lambda found: _part(_example(found), printed), PAGE.read_text())


def _part(example: Example, printed: Mapping[str, str]) -> str:
    said = printed.get(example.name, example.printed)
    block = f"```text\n{said}```\n\n" if said else ""
    picture = f"![{example.words}](images/gallery/{example.name}.png)"
    return f"```python\n{example.code}```\n\n{block}{picture}"


def main() -> None:
    """Draw the pictures of the examples that are named, or all; write what they print."""
    mpl.use("Agg")
    IMAGES.mkdir(exist_ok=True)
    names = sys.argv[1:]
    chosen = [example for example in examples() if not names or example.name in names]
    PAGE.write_text(text({example.name: drawn(example) for example in chosen}))


if __name__ == "__main__":
    main()
