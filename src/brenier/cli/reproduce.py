"""`brenier reproduce`: the thesis's experiments and others, each with one command."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import ExitCode, door, note
from brenier.cli.extras import check_matplotlib
from brenier.cli.progress import shown_run
from brenier.cli.summary import say

if TYPE_CHECKING:
    from brenier.reproduce.abstract import AbstractSetting
    from brenier.reproduce.experiment import Result

NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="What to reproduce; --list says what there is."),
]
ListOption = Annotated[bool, typer.Option("--list", help="Say what can be reproduced, and exit.")]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="INT",
        help="How many seeds, or splits of the images. [default: 5; 1 if quick]",
        show_default=False,
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
    """Run the thesis's experiments, or others, and write a report with tables and figures.

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
    from brenier.reproduce.catalogue import experiments

    for name, setting in experiments().items():
        typer.echo(f"{name:16s} {setting.words}")


def _setting(name: str, seeds: int | None, *, quick: bool) -> "AbstractSetting":
    from brenier.reproduce.catalogue import experiments

    known = experiments()
    if name not in known:
        raise typer.BadParameter(
            f"expected one of {', '.join(known)}; got {name!r}. --list says what they are."
        )
    setting = known[name].shortened() if quick else known[name]
    return setting if seeds is None else setting.with_seeds(seeds)


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
        if setting.quick:
            say("Quick variant: this shows that everything works; the numbers mean little.")
        for line in result.lines:
            say(line)
        say(f"Report written to {result.report}")
    if result.nothing:
        raise typer.Exit(ExitCode.NO_MODEL)


def _run(setting: "AbstractSetting", folder: Any, *, quiet: bool) -> "Result":
    check_matplotlib()
    from rich.console import Console

    from brenier.reproduce.experiment import run
    from brenier.reproduce.runs import Teller

    def follow(title: str) -> AbstractContextManager[Any]:
        # Elsewhere than in a terminal one line at the end of each run is enough.
        if quiet or not Console(stderr=True).is_terminal:
            return nullcontext(None)
        return shown_run(title)

    return run(setting, folder, Teller((lambda _: None) if quiet else note, follow))
