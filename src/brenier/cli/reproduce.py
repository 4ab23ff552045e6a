"""`brenier reproduce`: the thesis's experiments, with one command."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import ExitCode, door, note
from brenier.cli.extras import check_matplotlib
from brenier.cli.progress import shown_run
from brenier.cli.summary import say

if TYPE_CHECKING:
    from brenier.reproduce.reproduce import Reproduction
    from brenier.reproduce.setting import Setting

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="What to reproduce; --list says what there is."),
]
ListOption = Annotated[bool, typer.Option("--list", help="Say what can be reproduced, and exit.")]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="INT", help="How many seeds. [default: 5; 1 if quick]", show_default=False
    ),
]
QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="A small budget and one seed: minutes, to see that it works."),
]
FolderOption = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        help="Folder to write to; finished runs in it are used again. [default: "
        "reproduce-NAME, or reproduce-NAME-quick]",
        show_default=False,
    ),
]


def reproduce(
    name: NameArgument = None,
    *,
    listed: ListOption = False,
    seeds: SeedsOption = None,
    quick: QuickOption = False,
    output: FolderOption = None,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Run the thesis's experiments and write a report with its tables and figures beside ours.

    Ctrl-C keeps the finished runs; the same command goes on from there.
    """
    if name is None and not listed:
        raise typer.BadParameter("expected a NAME, or --list to see what there is.")
    with door(debug=debug, quiet=quiet):
        if listed:
            _list()
        else:
            _reproduce(str(name), seeds, output, quick=quick, quiet=quiet)


def _list() -> None:
    from brenier.reproduce.setting import reproductions

    for name, setting in reproductions().items():
        thesis = "with the thesis's own numbers" if setting.published else "not in the thesis"
        typer.echo(
            f"{name:16s} {setting.distribution!r}, {setting.n_train} rows, {thesis}; floor J "
            f"{setting.floor:.3f}; optimizers: {', '.join(setting.labels)}"
        )


def _setting(name: str, seeds: int | None, *, quick: bool) -> "Setting":
    from dataclasses import replace

    from brenier.reproduce.setting import reproductions

    known = reproductions()
    if name not in known:
        raise typer.BadParameter(
            f"expected one of {', '.join(known)}; got {name!r}. --list says what they are."
        )
    setting = known[name].shortened() if quick else known[name]
    return setting if seeds is None else replace(setting, seeds=tuple(range(seeds)))


def _reproduce(
    name: str, seeds: int | None, output: str | None, *, quick: bool, quiet: bool
) -> None:
    from pathlib import Path

    setting = _setting(name, seeds, quick=quick)
    folder = Path(output or f"reproduce-{name}{'-quick' if quick else ''}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"Expected a folder to write to; got the file {folder}. Name another.")
    result = _run(setting, folder, quiet=quiet)
    if not quiet:
        _print(result)
    if len(result.bad) == len(result.runs):
        raise typer.Exit(ExitCode.NO_MODEL)


def _run(setting: "Setting", folder: Any, *, quiet: bool) -> "Reproduction":
    check_matplotlib()
    from rich.console import Console

    from brenier.reproduce.reproduce import reproduce
    from brenier.reproduce.runs import Teller

    def follow(title: str) -> AbstractContextManager[Any]:
        # Elsewhere than in a terminal one line at the end of each run is enough.
        if quiet or not Console(stderr=True).is_terminal:
            return nullcontext(None)
        return shown_run(title)

    return reproduce(setting, folder, Teller((lambda _: None) if quiet else note, follow))


def _print(result: "Reproduction") -> None:
    if result.setting.quick:
        say("Quick variant: this shows that everything works; the verdicts mean little.")
    for claim in result.claims:
        say(f"{claim.verdict.value}: {claim.what}: {claim.numbers}")
    say(f"Report written to {result.report}")
