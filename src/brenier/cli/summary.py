"""What commands print on standard output: two-column summaries, sentences, JSON."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli.door import note
from brenier.cli.visible import visible, visible_in_json
from brenier.training.phases import PHASES

if TYPE_CHECKING:
    from brenier.training.report import Certificate, FitReport

Lines = Iterable[tuple[str, str]]
# Seconds that are shown as more than zero.
SHOWN = 0.05
# Parts of the runs' time, in words.
OF_RUNS = {
    "compile": "compiling",
    "inner": "inner solves",
    "gradient": "gradients",
    "heldout": "held-out losses",
}


def print_lines(title: str, lines: Lines, *, to_stderr: bool = False) -> None:
    """Print a title and pairs of a label and a text, aligned and wrapped to the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in lines:
        grid.add_row(Text(visible(label)), Text(visible(text)))
    console = Console(stderr=to_stderr)
    # Through typer, whose errors are this program's: rich would end the process at a broken pipe.
    with console.capture() as capture:
        console.print(Text(visible(title), style="bold"), soft_wrap=True)
        console.print(grid)
    for line in capture.get().splitlines():
        _print_as_it_is(line.rstrip(), to_stderr=to_stderr)


def _print_as_it_is(text: str, *, to_stderr: bool) -> None:
    """Print a line that may have the terminal's colours in it."""
    with suppress(*((OSError, ValueError) if to_stderr else ())):
        typer.echo(text, err=to_stderr)


def say(text: str, *, to_stderr: bool = False) -> None:
    """Print a line on standard output, or a note on standard error."""
    if to_stderr:
        note(text)
    else:
        typer.echo(visible(text))


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object; NaN and infinity, which JSON has not, become null."""
    from brenier.io.plain import to_plain

    text = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    typer.echo(visible_in_json(text))


def block_titles(blocks: list[list[str]]) -> list[str]:
    """Return what to call every block of a block-triangular model."""
    before = ["", *(", ".join(sum(blocks[:k], [])) for k in range(1, len(blocks)))]
    return [
        f"{', '.join(block)}{' given ' * bool(known)}{known}"
        for block, known in zip(blocks, before, strict=True)
    ]


def print_reports(title: str, lines: Lines, reports: "dict[str, FitReport]") -> None:
    """Print a summary and how the fit of every part of a model went, each with its verdict."""
    for number, (part, report) in enumerate(reports.items()):
        own = [("density of", part)] if part else []
        print_lines(title if number == 0 else "", [*lines, *own, *report_lines(report)])
        say(report.verdict)
        lines = []


def reports_json(reports: "dict[str, FitReport]") -> dict[str, Any]:
    """Return how the fit of every part of a model went: of one without parts, as it is."""
    if list(reports) == [""]:
        return report_json(reports[""])
    return {"blocks": [{"density_of": part, **report_json(r)} for part, r in reports.items()]}


def report_lines(report: "FitReport") -> Lines:
    """Yield how a fit went."""
    yield "status", _status(report)
    yield "distinct rows", report.rows + report.worth
    yield "log-likelihood", f"{report.train_log_likelihood:.4f} nats per row, training"
    if report.n_heldout:
        yield "", f"{report.heldout_log_likelihood:.4f} nats per row, held out to choose"
    if report.log_likelihood is not None:
        yield "", f"{report.log_likelihood} nats per row, judged"
    if report.gain is not None and not report.discrete:
        yield "gain over Gaussian", f"{report.gain} nats per row, judged"
    if report.baseline:
        yield "Gaussian", report.baseline
    which = f"; the model is of iteration {report.best_iteration}" if report.best_iteration else ""
    yield "iterations", f"{report.n_iter}{which}"
    yield "weight decay", _decay(report)
    if report.n_far:
        yield "far rows", f"{report.n_far}: {'; '.join(report.far_rows)}"
    if report.noise:
        yield "noise", f"{report.noise:.3g} standard deviations of the data"
    if report.n_maps > 1:
        yield "maps", f"{report.n_maps}, composed"
    elif report.n_members > 1:
        yield "potentials", f"the weighted sum of {report.n_members}"
    if report.n_components > 1:
        yield "mixture", f"{report.n_components} components: {report.pool}"
    if report.pieces:
        yield "pieces", report.pieces
    if report.choice:
        yield "choice", report.choice
    if report.tail:
        yield "tails", f"heavier than a normal's: they fall like the power {1 / report.tail:.3g}"
    yield from _time(report.seconds)
    yield "certificate", _certificate(report.certificate)


def _status(report: "FitReport") -> str:
    if not report.is_gaussian:
        return report.status.value
    if not report.searched:
        why = "nothing having been searched"
    else:
        why = "no run having done better" + " so far" * (not report.status.finished)
    return f"{report.status.value}; the model is the Gaussian, {why}"


def _time(seconds: dict[str, float]) -> Lines:
    """Yield the wall time, phase by phase, and what the runs took together."""
    known = [phase for phase in PHASES if phase in seconds]
    phases = ", ".join(f"{phase} {seconds[phase]:.1f}" for phase in known)
    yield "time", f"{seconds['total']:.1f} s{': ' * bool(known)}{phases}"
    if seconds["runs"] >= SHOWN:
        parts = ", ".join(f"{what} {seconds[part]:.1f}" for part, what in OF_RUNS.items())
        yield "", f"of all runs, several at once, {seconds['runs']:.1f} s: {parts}"


def _decay(report: "FitReport") -> str:
    candidates = set(zip(report.run_decay, report.run_n_radial, strict=True))
    radial = f"{report.n_radial or 'no'} radial unit{'s' * (report.n_radial != 1)}"
    best = f"; the best of {len(candidates)} on held-out rows" if len(candidates) > 1 else ""
    return f"{report.decay:g}, {radial}{best}"


def _certificate(certificate: "Certificate | None") -> str:
    if certificate is None:
        return "none: no iterate was returned, or no time was left for it"
    return (
        f"stationarity {certificate.stationarity:.1e}, duality gap {certificate.duality_gap:.1e}, "
        f"projected gradient {certificate.projected_gradient:.1e} nats"
    )


def report_json(report: "FitReport") -> dict[str, Any]:
    """Return how a fit went, as plain types."""
    full = report.to_dict()
    return {
        "status": report.status.value,
        "is_gaussian": report.is_gaussian,
        "n_train": report.n_train,
        "n_heldout": report.n_heldout,
        "n_judge": report.n_judge,
        "train_log_likelihood": report.train_log_likelihood,
        "heldout_log_likelihood": report.heldout_log_likelihood,
        "log_likelihood": full["log_likelihood"],
        "gain": None if report.discrete else full["gain"],
        "effective_size": report.effective_size,
        "discrete": list(report.discrete),
        "n_components": report.n_components,
        "pool": report.pool,
        "pieces": report.pieces,
        "choice": report.choice,
        "baseline": report.baseline,
        "iterations": report.n_iter,
        "best_iteration": report.best_iteration,
        "seconds": report.seconds["total"],
        "seconds_of": {phase: report.seconds.get(phase) for phase in PHASES},
        "certificate": full["certificate"],
        "message": report.message,
        "verdict": report.verdict,
    }
