"""What the pages of all reproductions are made of: one file, no script, nothing loaded."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from brenier.plots.style import BLUE, ORANGE
from brenier.reproduce.claims import Claim, Verdict
from brenier.reproduce.tables import Table

STYLE = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 1260px; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ line-height: 1.2; }}
h2 {{ margin: 3rem 0 1.2rem; padding-bottom: 0.3rem; border-bottom: 1px solid #ccc; }}
.wide {{ overflow-x: auto; margin-top: 1.6rem; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.3rem 0.5rem; border-bottom: 1px solid #ddd; text-align: right;
  vertical-align: top; }}
th {{ background: #f4f4f4; }}
th:first-child, td:first-child {{ text-align: left; white-space: nowrap; }}
table.text th, table.text td {{ text-align: left; white-space: normal; }}
caption {{ text-align: left; font-weight: 600; padding: 0 0 0.6rem; }}
.note {{ color: #444; font-size: 0.85rem; margin: 0.5rem 0 0; }}
.warning {{ background: #fff3d6; padding: 0.6rem 1rem; border-left: 4px solid {ORANGE}; }}
figure {{ margin: 2rem 0 2.5rem; }} figure img {{ max-width: 100%; height: auto; }}
figcaption {{ color: #444; font-size: 0.9rem; margin-top: 0.6rem; }}
.reproduced {{ color: {BLUE}; font-weight: 600; }} .not {{ color: #B34700; font-weight: 600; }}
pre {{ white-space: pre-wrap; background: #f4f4f4; padding: 0.6rem; font-size: 0.8rem; }}
"""


def document(title: str, sections: Iterable[str]) -> str:
    """Return a page of these sections."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "</body></html>\n"
    )


def claims_html(claims: Sequence[Claim]) -> str:
    """Return the section with every claim, its verdict and the numbers."""
    rows = "".join(
        f"<tr><td>{escape(c.what)}</td><td class={_class(c.verdict)}>{c.verdict.value}</td>"
        f"<td>{escape(c.numbers)}</td></tr>"
        for c in claims
    )
    return (
        "<h2>What reproduced</h2><div class=wide><table class=text><tr><th>claim</th><th>verdict"
        f"</th><th>numbers</th></tr>{rows}</table></div>"
    )


def _class(verdict: Verdict) -> str:
    return {Verdict.YES: "reproduced", Verdict.NO: "not", Verdict.OPEN: "open"}[verdict]


def table_html(table: Table) -> str:
    """Return a table with its title and notes."""
    head = "".join(
        f"<th>{escape(name)}{f'<br>({escape(unit)})' if unit else ''}</th>"
        for name, unit in table.columns
    )
    body = "".join(
        f"<tr><td>{escape(row)}</td>"
        + "".join(f"<td>{_unbroken(table.cell(row, name))}</td>" for name, _ in table.columns)
        + "</tr>"
        for row in table.rows
    )
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in table.notes)
    return (
        f"<div class=wide><table><caption>{escape(table.title)}</caption><tr><th></th>{head}</tr>"
        f"{body}</table></div>{notes}"
    )


def _unbroken(cell: str) -> str:
    """Return a cell's text for HTML: its note, in brackets, is a line of its own."""
    return "<br>(".join(escape(line).replace(" ", "&nbsp;") for line in cell.split(" ("))


def figure_html(name: str, caption: str, png: bytes) -> str:
    """Return a picture, which is in the page, with its caption."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure id="{escape(name)}"><img alt="{escape(caption)}" '
        f'src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'
    )


def in_words(parameters: Mapping[str, object]) -> str:
    """Return settings as they are given."""
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
