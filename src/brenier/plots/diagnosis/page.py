"""A diagnosis as one HTML file: pictures inside, no script, nothing loaded from anywhere.

It is read light and dark, on narrow screens, and on paper.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from brenier.diagnostics.diagnosis import Diagnosis, Score, WorstRow
from brenier.diagnostics.panels import AbstractPanel
from brenier.plots.diagnosis.corner import corner
from brenier.plots.diagnosis.history import history
from brenier.plots.diagnosis.panels import pictures
from brenier.plots.diagnosis.svg import page_style, svg_of
from brenier.training.report import FitReport

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --faint: #8a8a8a;
  --line: #ddd; --soft: #f4f4f4; --rows: #0072b2; --draws: #d55e00; --band: #d5dbe1;
  --bad: #b34700; --good: #00664b; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e6e6e6;
  --faint: #8f959c; --line: #3a3f45; --soft: #22262b; --rows: #56b4e9; --draws: #f0a35e;
  --band: #39424c; --bad: #ffa25e; --good: #5fd3ae; } }
@media print { :root { --paper: #fff; --ink: #000; --faint: #666; --line: #ccc; --soft: #f4f4f4;
  --rows: #0072b2; --draws: #d55e00; --band: #d5dbe1; --bad: #b34700; --good: #00664b; }
  figure, section.panel, tr { break-inside: avoid; } details > * { display: block; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 0 auto; padding: 1rem 1rem 4rem; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.2; }
h1 { font-size: 1.5rem; } h2 { margin: 2.6rem 0 0.8rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.8rem 0 0.4rem; font-size: 1.05rem; }
.verdict { font-size: 1.15rem; border-left: 4px solid var(--rows); background: var(--soft);
  padding: 0.8rem 1rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85rem;
  font-variant-numeric: tabular-nums; margin: 0.6rem 0; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; } th { background: var(--soft); }
th:first-child, td:first-child { text-align: left; }
table.text th, table.text td { text-align: left; }
.figures { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; margin: 0.6rem 0; }
svg { display: block; max-width: 100%; height: auto; font-family: system-ui, sans-serif; }
.rows { color: var(--rows); font-weight: 600; } .draws { color: var(--draws); font-weight: 600; }
.suspicious { color: var(--bad); font-weight: 600; } .fine { color: var(--good); }
.note { color: var(--faint); font-size: 0.9rem; }
pre { white-space: pre-wrap; background: var(--soft); padding: 0.6rem; font-size: 0.85rem; }
"""


@dataclass(frozen=True)
class About:
    """What a page says beside the diagnosis.

    Attributes
    ----------
    title : str
        As in "model.brenier judged by test.csv".
    command : str
        What makes the page again.
    settings : sequence of pairs of str
        Of the model: names and values.
    versions : sequence of pairs of str
        Packages and versions.
    reports : sequence of pairs of str and FitReport
        How the fit of every part of the model went, and what to call the part.
    """

    title: str
    command: str = ""
    settings: Sequence[tuple[str, str]] = ()
    versions: Sequence[tuple[str, str]] = ()
    reports: Sequence[tuple[str, FitReport]] = ()


def diagnosis_page(diagnosis: Diagnosis, about: About) -> str:
    """Return the HTML of a diagnosis.

    Parameters
    ----------
    diagnosis : Diagnosis
        Of any model.
    about : About
        What is said beside it.
    """
    with page_style():
        sections = [
            *_head(diagnosis, about),
            *_scores(diagnosis),
            "<h2>Panels</h2>",
            "<p>Of a right model the lines stay in the shaded bands in 95 of 100 tables. "
            '<span class="rows">Rows</span> of the data and <span class="draws">draws</span> of '
            "the model have these colours.</p>",
            *(_panel(panel) for panel in diagnosis.panels),
            *_corner(diagnosis),
            *_rows(diagnosis),
            *_fit(about),
            *_made(about),
        ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(about.title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def _head(diagnosis: Diagnosis, about: About) -> Iterator[str]:
    nats, test = diagnosis.nats_missing, diagnosis.test
    yield f"<h1>Is it good? {escape(about.title)}</h1>"
    yield f'<p class="verdict">{escape(diagnosis.verdict)}</p>'
    worst = diagnosis.panel(test.panel).title
    rows = [
        ("nats missing per row", f"{nats.value:.3f} ± {nats.standard_error:.3f}"),
        ("one test of all panels", f"p = {test.p_value:.3g}, the largest: {worst}"),
        ("rows", f"{diagnosis.n_rows}, of which {diagnosis.n_used} are used in the panels"),
        ("columns", ", ".join(diagnosis.names)),
    ]
    if diagnosis.context_names:
        rows.append(("given", ", ".join(diagnosis.context_names)))
    yield _table(["", ""], rows, kind="text")
    yield (
        '<p class="note">Nats missing: what a small density fitted to the images z of some rows '
        "gains over the standard normal on others. It is a lower bound of what the model loses per "
        "row (its Kullback-Leibler divergence), whatever the fault: 0.01 is little, 0.1 is seen in "
        "a picture, 1 is another density.</p>"
    )
    for note in diagnosis.notes:
        yield f'<p class="note">{escape(note)}</p>'


def _scores(diagnosis: Diagnosis) -> Iterator[str]:
    yield "<h2>Beside other densities</h2>"
    head = ["density", "log-density (nats per row)", "the model leads by", "fitted to"]
    yield _table(head, [_score(score) for score in diagnosis.scores])
    if diagnosis.ranked_scores:
        head = ["target", "CRPS", "of the targets of other rows", "skill"]
        yield _table(
            head,
            [
                (
                    one.target,
                    f"{one.mean:.4g} ± {one.standard_error:.2g}",
                    f"{one.climatology:.4g}",
                    f"{one.skill:.3f}",
                )
                for one in diagnosis.ranked_scores
            ],
        )
        yield (
            '<p class="note">CRPS: the continuous ranked probability score, in units of the '
            "target; less is better. Skill: 1 is perfect, 0 no better than without the context.</p>"
        )


def _score(score: Score) -> tuple[str, ...]:
    lead = "" if score.name == "model" else f"{score.lead:.3f} ± {score.lead_error:.3f}"
    mean = f"{score.mean:.3f} ± {score.standard_error:.3f}"
    return score.name, mean, lead, score.fitted_to


def _panel(panel: AbstractPanel) -> str:
    kind = "suspicious" if panel.is_suspicious else "fine"
    figures = "".join(
        svg_of(figure, f"{panel.name}{k}", words)
        for k, (figure, words) in enumerate(pictures(panel))
    )
    return (
        f'<section class="panel" id="{escape(panel.name)}"><h3>{escape(panel.title)}</h3>'
        f'<p><span class="{kind}">{"!" if panel.is_suspicious else "✓"}</span> '
        f"{escape(panel.sentence)} "
        f'<span class="note">(p = {panel.p_value:.3g} by itself)</span></p>'
        f'<div class="figures">{figures}</div></section>'
    )


def _corner(diagnosis: Diagnosis) -> Iterator[str]:
    figure, names = corner(diagnosis)
    left_out = len(diagnosis.shown.names) - len(names)
    words = f"Contours and histograms of rows and draws in the columns {', '.join(names)}."
    yield "<h2>Rows and draws</h2>"
    yield (
        '<p>Lines hold 50 % and 90 % of the <span class="rows">rows</span> (solid) and of the '
        '<span class="draws">draws</span> (dashed).'
        + (f" {left_out} columns that fit better are left out." if left_out else "")
        + "</p>"
    )
    yield f'<div class="figures">{svg_of(figure, "corner", words)}</div>'


def _rows(diagnosis: Diagnosis) -> Iterator[str]:
    rows = diagnosis.rows
    yield "<h2>Rows that are explained worst</h2>"
    names = [*diagnosis.names, *diagnosis.context_names]
    head = ["row", "log-density", "likelier than a share of draws", "because of", *names]
    yield _table(head, [_worst(one) for one in rows.worst])
    yield '<p class="note">Rows count from 0.</p>'
    facts = [
        ("less likely than any draw", f"{rows.n_far} (of a right model {rows.n_far_expected:.1f})"),
        ("where the density is zero", str(rows.n_outside_bounds)),
        ("copies of rows before them", str(rows.n_copies)),
    ]
    if rows.n_outside_training is not None:
        facts.append(("outside the training rows' range", str(rows.n_outside_training)))
    facts += [("repeated values", said) for said in rows.repeated]
    yield _table(["", ""], facts, kind="text")


def _worst(row: WorstRow) -> tuple[str, ...]:
    because = f"{row.column} ({row.off:+.1f} sd)"
    return (
        str(row.row),
        f"{row.log_density:.2f}",
        f"{row.share:.4f}",
        because,
        *(f"{value:.5g}" for value in row.values),
    )


def _fit(about: About) -> Iterator[str]:
    if not about.reports:
        return
    yield "<h2>How it was fitted</h2>"
    for k, (name, report) in enumerate(about.reports):
        if name:
            yield f"<h3>{escape(name)}</h3>"
        yield f"<p>{escape(report.message)}</p>"
        phases = {what: seconds for what, seconds in report.seconds.items() if what in PHASES}
        figures = [svg_of(*picture) for picture in history(report, f"history{k}")]
        yield f'<div class="figures">{"".join(figures)}</div>'
        yield _table(
            ["where the seconds went", "s"],
            [(what, f"{seconds:.2f}") for what, seconds in phases.items()],
        )


PHASES = ("reading", "compiling", "selecting", "fitting", "summing", "total")


def _made(about: About) -> Iterator[str]:
    yield "<h2>How this page was made</h2>"
    if about.command:
        yield f"<pre>{escape(about.command)}</pre>"
    for head, pairs in (("setting", about.settings), ("package", about.versions)):
        if pairs:
            yield _table([head, ""], [tuple(pair) for pair in pairs], kind="text")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str = "") -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    heading = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="wide"><table class="{kind}">{heading}<tbody>{body}</tbody></table></div>'
