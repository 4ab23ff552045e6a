"""Options of the command line, `--max-iter`, stay whole: a line does not end within one.

A browser may end a line after any hyphen of code within a text. Each option gets an element of its
own, which `assets/site.css` keeps on one line.
"""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

# Code within a text; that of blocks follows a `<pre>`, its highlighting, or both.
CODE = re.compile(r"(?<!<pre>)(?<!</span>)<code>(.*?)</code>", flags=re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with the options in its texts and tables whole (called by MkDocs)."""
    return CODE.sub(lambda found: f"<code>{whole(found[1])}</code>", content)


def whole(code: str) -> str:
    """Return code, as HTML without elements, with its options in elements of their own."""
    return OPTION.sub(r'<span class="option">\g<0></span>', code)
