"""The command `brenier`: fit a density to a data file, score it, sample from it.

    brenier fit posterior.csv -o posterior.brenier
    brenier score posterior.brenier other.csv
    brenier sample posterior.brenier -n 1000 -o draws.csv
    brenier diagnose posterior.brenier other.csv -o diagnosis.html
    brenier plot posterior.brenier posterior.csv -o posterior.png
    brenier reproduce moons --quick

Exit codes: 0 done; 1 bad input; 2 usage; 3 the fit failed and there is no model; 130 interrupted;
141 the reader of standard output went away; 143 ended by SIGTERM.
"""

# `brenier --help` shall not wait seconds for JAX: the modules of this package import only typer
# and the standard library at their top, and everything else inside the commands.

from typing import Annotated

import typer

from brenier.cli.apply import inverse, sample, transform
from brenier.cli.clock import leave, process_began
from brenier.cli.compare import compare
from brenier.cli.diagnose import diagnose
from brenier.cli.evidence import evidence
from brenier.cli.fit import fit
from brenier.cli.info import info
from brenier.cli.plot import plot
from brenier.cli.reproduce import reproduce
from brenier.cli.score import score
from brenier.cli.streams import occupy_closed_descriptors

app = typer.Typer(
    name="brenier",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Data files: text (CSV, tabs, semicolons, blanks; chains of Stan, Cobaya, GetDist, "
    "UltraNest), also in gzip, bzip2, xz or zip; Parquet, Arrow, NPY, NPZ; with astropy FITS and "
    "VOTable. Written are .csv, .csv.gz, .tsv, .npy and .parquet; - is standard input, or CSV to "
    "standard output. Exit codes: 0 done, 1 bad input, 2 wrong usage, 3 the fit failed and there "
    "is no model, 130 interrupted, 143 terminated. Compiled programs are kept in the user's cache "
    "folder, or in that named by BRENIER_CACHE; BRENIER_CACHE=off keeps none.",
)
COMMANDS = (
    fit,
    score,
    sample,
    transform,
    inverse,
    diagnose,
    compare,
    evidence,
    info,
    plot,
    reproduce,
)
for command in COMMANDS:
    app.command()(command)


def _print_version(*, wanted: bool) -> bool:
    if wanted:
        from brenier.version import __version__

        typer.echo(f"brenier {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def brenier(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _print_version(wanted=value),
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Fit a probability density to a table of samples, score it, and sample from it."""


def main() -> None:
    """Run the command line and end the process."""
    occupy_closed_descriptors()
    try:
        app(prog_name="brenier", obj=process_began())
    except SystemExit as end:
        leave(end.code)
