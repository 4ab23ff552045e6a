"""References of docstrings as a list: numpydoc writes `.. [1]`, which Markdown does not know."""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

REFERENCES = re.compile(r"<p>(\.\. \[1\] .*?)</p>", flags=re.DOTALL)
MARK = re.compile(r"\.\. \[\d+\] ")


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its references as lists (called by MkDocs)."""
    return REFERENCES.sub(lambda found: listed(found[1]), content)


def listed(text: str) -> str:
    """Return references, each after its mark, as a numbered list."""
    items = "".join(f"<li>{reference.strip()}</li>" for reference in MARK.split(text)[1:])
    return f"<ol>{items}</ol>"
