r"""Formulas as MathML, made when the site is built: browsers draw it without a script or a font.

`pymdownx.arithmatex` finds the formulas between dollar signs and leaves them as `\(...\)` and
`\[...\]`; here these become MathML. What the converter does not know, and would show as it is
written, ends the build with the page's name.
"""

import html
import re
from collections.abc import Iterable, Iterator

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink

FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', flags=re.DOTALL | re.IGNORECASE
)
# In a table of contents.
INLINE = re.compile(r"\\\((.*?)\\\)")
# Spellings that the converter does not know, and ones that it does.
SPELLINGS = {
    r"\\([bB]igg?[lr]?)\\[lr]vert": r"\\\1|",
    r"\\[lr]Vert": r"\\|",
    r"\\arg\\min": r"\\operatorname{arg\\,min}",
}
# Relations and binary operators that it takes for letters, which have no space around them.
OPERATORS = re.compile(r"<mi>(&#x0(?:2[12][0-9A-F]{2}|2A[0-9A-F]{2});)</mi>")
# Of the arrows and operators of these blocks, those that are letters: for all, nabla, infinity, ...
LETTERS = {"&#x02200;", "&#x02202;", "&#x02203;", "&#x02205;", "&#x02207;", "&#x0221E;"}
LETTERS |= {f"&#x{code:05X};" for code in range(0x2100, 0x2150)}
# A function's name stands off from what follows, but for a bracket.
FUNCTION = re.compile(r"<mi>(log|exp|tanh|cosh|arg)</mi>(?!</|<mo[^>]*>[(\[])")

# Bars of absolute values and norms stand close to what is between them, as high as a letter.
BARS = re.compile(r"<mo>(&#x0(?:007C|2016);)</mo>")


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its formulas as MathML (called by MkDocs)."""

    def drawn(found: re.Match[str]) -> str:
        display = "block" if found[1] == "div" else "inline"
        try:
            return mathml(html.unescape(found[2]).strip(), display)
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from error

    for entry in _entries(page.toc):
        entry.title = INLINE.sub(lambda found: mathml(found[1], "inline"), entry.title)
    return FORMULA.sub(drawn, content)


def _entries(toc: Iterable[AnchorLink]) -> Iterator[AnchorLink]:
    """Yield the entries of a table of contents, those below others too."""
    for entry in toc:
        yield entry
        yield from _entries(entry.children)


def mathml(formula: str, display: str) -> str:
    """Return a formula in LaTeX as MathML, as a line of its own ("block") or within one."""
    spelled = formula
    for old, new in SPELLINGS.items():
        spelled = re.sub(old, new, spelled)
    try:
        found = convert(spelled, display=display)
    except Exception as error:
        raise ValueError(f"Expected a formula; got {formula!r}: {error!r}.") from error
    unknown = re.findall(r"\\[a-zA-Z]+", found)
    if unknown:
        raise ValueError(f"Expected commands that are known; got {unknown[0]} in {formula!r}.")
    found = BARS.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', found)
    found = OPERATORS.sub(lambda m: m[0] if m[1] in LETTERS else f"<mo>{m[1]}</mo>", found)
    return FUNCTION.sub(r'<mi>\1</mi><mspace width="0.17em" />', found)
