"""Arguments and options of the commands: types, help, and the parsing of their text."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer


class Whiten(Enum):
    """What is removed from the data before the fit."""

    FULL = "full"
    STANDARDIZE = "standardize"
    NONE = "none"


class Kind(Enum):
    """What kind of density is fitted."""

    FLOW = "flow"
    MIXTURE = "mixture"
    AUTO = "auto"


class Activation(Enum):
    """Activation functions by their names in `brenier.potential.activations`."""

    GAUSSIAN_SOFTPLUS = "gaussian-softplus"
    SOFTPLUS = "softplus"
    SQUAREPLUS = "squareplus"


class Optimizer(Enum):
    """What trains the weights below the last layer."""

    AUTO = "auto"
    LBFGS_VARPRO = "lbfgs-varpro"
    ADAM_VARPRO = "adam-varpro"
    ADAM_LBFGS_VARPRO = "adam-lbfgs-varpro"
    GD_VARPRO = "gd-varpro"
    GAUSS_NEWTON_VARPRO = "gauss-newton-varpro"
    ADAM = "adam"
    SCHEDULE_FREE_ADAM = "schedule-free-adam"
    LBFGS_FULL = "lbfgs-full"
    GAUSS_NEWTON_FULL = "gauss-newton-full"


class Inner(Enum):
    """Solvers of the convex problem in the last layer."""

    PRIMAL_DUAL = "primal-dual"
    BARRIER = "barrier"


@dataclass(frozen=True)
class Widths:
    """Widths of the hidden layers."""

    values: tuple[int, ...]


@dataclass(frozen=True)
class Maps:
    """How many maps are composed, or "auto"."""

    value: int | str


@dataclass(frozen=True)
class Devices:
    """How many devices share the rows, or "all"."""

    value: int | str


@dataclass(frozen=True)
class MostRows:
    """How many rows of a table are used at most; None: all."""

    value: int | None

    def __str__(self) -> str:
        return "all" if self.value is None else str(self.value)


# More rows than so many bring next to nothing, and take memory and time.
MOST_ROWS = MostRows(1 << 20)


@dataclass(frozen=True)
class Bounds:
    """Bounds of one column; None where there is none."""

    name: str
    low: float | None
    high: float | None


def parse_maps(text: str) -> Maps:
    """Return the number of maps in a text, or that held-out rows choose it."""
    if text.strip() == "auto":
        return Maps("auto")
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise typer.BadParameter(f"expected a positive integer, or auto; got {text!r}.")
    return Maps(number)


def parse_devices(text: str) -> Devices:
    """Return the number of devices in a text, or "all"; whether there are so many is seen later."""
    if text.strip() == "all":
        return Devices("all")
    if not text.strip().isdecimal():
        raise typer.BadParameter(f"expected all, 1, 2, 4 or 8; got {text!r}.")
    return Devices(int(text))


def parse_most_rows(text: str) -> MostRows:
    """Return how many rows a text says, or that all are used."""
    if text.strip() == "all":
        return MostRows(None)
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise typer.BadParameter(f"expected a positive integer, or all; got {text!r}.")
    return MostRows(number)


def most_rows(given: MostRows | None) -> int | None:
    """Return how many rows are used at most; None: all."""
    return (MOST_ROWS if given is None else given).value


def parse_widths(text: str) -> Widths:
    """Return the widths in a text such as `32,32`."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(
            f"expected positive integers separated by commas, as in 32,32; got {text!r}."
        )
    return Widths(tuple(int(part) for part in parts))


def parse_bounds(text: str) -> Bounds:
    """Return the bounds in a text such as `x=0:1`, `x=0:` or `x=:5`."""
    name, equals, pair = text.rpartition("=")
    low_text, colon, high_text = pair.partition(":")
    if not (name and equals and colon):
        raise typer.BadParameter(
            f"expected NAME=LOW:HIGH, as in x=0:1, x=0: or x=:5; got {text!r}."
        )
    low, high = _bound(low_text, text), _bound(high_text, text)
    if low is None and high is None:
        raise typer.BadParameter(f"expected a bound on one side at least; got {text!r}.")
    if low is not None and high is not None and not low < high:
        raise typer.BadParameter(f"expected LOW below HIGH; got {text!r}.")
    return Bounds(name, low, high)


def parse_period(text: str) -> Bounds:
    """Return the ends of a period in a text such as `phase=0:6.2832`."""
    ends = parse_bounds(text)
    if ends.low is None or ends.high is None:
        raise typer.BadParameter(f"expected both ends of the period; got {text!r}.")
    return ends


def _bound(text: str, whole: str) -> float | None:
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(
            f"expected finite numbers, or nothing for no bound; got {text!r} in {whole!r}."
        )
    return value


def _positive(text: str) -> float:
    value = _float(text)
    if not 0 < value < math.inf:
        raise typer.BadParameter(f"expected a positive number; got {text!r}.")
    return value


def _non_negative(text: str) -> float:
    value = _float(text)
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"expected a number of at least 0; got {text!r}.")
    return value


def _fraction(text: str) -> float:
    value = _float(text)
    if not 0 <= value < 1:
        raise typer.BadParameter(f"expected a number of at least 0 and below 1; got {text!r}.")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


if TYPE_CHECKING:
    Context = typer.Context
else:
    # What typer passes is of the class that its own is derived from.
    Context = typer.Context.__mro__[1]

# An option left out is not passed on, so that the estimator's own default, or that of its thesis
# form, counts. The help repeats these defaults; a test compares them.

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model file.")]
DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data file, a folder of Parquet files, or - for standard input.",
    ),
]
TablesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="A data file, a folder of Parquet files, or - for standard input; several files are "
        "chains of draws with the same columns.",
    ),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="COLUMN,COLUMN,...",
        help="The columns to read, by name; a * stands for any characters, as in alpha*. Others "
        "may hold text.",
        show_default=False,
    ),
]
DropOption = Annotated[
    str | None,
    typer.Option(
        "--drop",
        metavar="COLUMN,COLUMN,...",
        help="Columns to leave out, by name; a * stands for any characters.",
        show_default=False,
    ),
]
DropMissingOption = Annotated[
    bool, typer.Option("--drop-missing", help="Leave out rows with missing values, and say so.")
]
MaxRowsOption = Annotated[
    MostRows | None,
    typer.Option(
        "--max-rows",
        parser=parse_most_rows,
        metavar="INT|all",
        help="Of more rows than these use a sample, chosen by a hash of their contents, and say "
        f"so. [default: {MOST_ROWS.value}]",
        show_default=False,
    ),
]
DropConstantOption = Annotated[
    bool,
    typer.Option(
        "--drop-constant",
        help="Leave out columns with one value in all rows; the model remembers the values, and "
        "samples carry them.",
    ),
]
RowsOutput = Annotated[
    str,
    typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is standard output."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the essential.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

BoundsOption = Annotated[
    list[Bounds] | None,
    typer.Option(
        "--bounds",
        parser=parse_bounds,
        metavar="NAME=LOW:HIGH",
        help="Bounds of a column: x=0:1, x=0: or x=:5. Once for each bounded column.",
        show_default=False,
    ),
]
PeriodOption = Annotated[
    list[Bounds] | None,
    typer.Option(
        "--period",
        parser=parse_period,
        metavar="NAME=LOW:HIGH",
        help="A periodic column, such as an angle: phase=0:6.2832. Once for each.",
        show_default=False,
    ),
]
DiscreteOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Columns of whole numbers: their values have probabilities.",
        show_default=False,
    ),
]
WhitenOption = Annotated[
    Whiten | None,
    typer.Option(
        help="What is removed from the data first: means and covariance, means and scales, "
        "or nothing. [default: full]",
        show_default=False,
    ),
]
WidthsOption = Annotated[
    Widths | None,
    typer.Option(
        parser=parse_widths,
        metavar="INT,INT,...",
        help="Widths of the hidden layers. [default: 16,16,16,16; of several maps, or with "
        "--given, 16,16]",
        show_default=False,
    ),
]
NRadialOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="INT",
        help="Radial units beside the network; 0 for none. [default: 8]",
        show_default=False,
    ),
]
ActivationOption = Annotated[
    Activation | None,
    typer.Option(help="Activation function. [default: gaussian-softplus]", show_default=False),
]
ThesisOption = Annotated[
    bool,
    typer.Option(
        "--thesis",
        help="The exact form of the method's thesis; options given still count.",
    ),
]
TauOption = Annotated[
    float | None,
    typer.Option(
        parser=_positive,
        metavar="FLOAT",
        help="Final barrier weight, in nats. [default: 1e-05]",
        show_default=False,
    ),
]
DecayOption = Annotated[
    float | None,
    typer.Option(
        parser=_non_negative,
        metavar="FLOAT",
        help="Weight decay, in nats per squared weight. Without it, held-out rows choose it, and "
        "whether to use radial units.",
        show_default=False,
    ),
]
NoiseOption = Annotated[
    float | None,
    typer.Option(
        parser=_non_negative,
        metavar="FLOAT",
        help="Noise on copies of the rows that are trained on, in standard deviations of the "
        "data; 0 for none. Without it, chosen from the data.",
        show_default=False,
    ),
]
MaxIterOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="INT", help="Most iterations. [default: 1000]", show_default=False),
]
TolOption = Annotated[
    float | None,
    typer.Option(
        parser=_non_negative,
        metavar="FLOAT",
        help="Gradient, in nats, at which a run has converged. [default: 1e-05]",
        show_default=False,
    ),
]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option(
        parser=_non_negative,
        metavar="FLOAT",
        help="Time limit; the best model so far is kept. [default: none]",
        show_default=False,
    ),
]
ValidationFractionOption = Annotated[
    float | None,
    typer.Option(
        parser=_fraction,
        metavar="FLOAT",
        help="Share of the rows held out to decide when to stop; more of a small table. "
        "[default: 0.1]",
        show_default=False,
    ),
]
JudgeFractionOption = Annotated[
    float | None,
    typer.Option(
        parser=_fraction,
        metavar="FLOAT",
        help="Share of the rows set apart to judge the fit, which choose nothing; more of a "
        "small table, none of fewer than 300 rows. [default: 0.05]",
        show_default=False,
    ),
]
NInitOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="INT",
        help="Initial weights tried for each potential, or composition; the best is kept. "
        "[default: 1; of several maps 3, with --given 4]",
        show_default=False,
    ),
]
NEstimatorsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="INT",
        help="Potentials from different initial weights that are summed. [default: 3; of at most "
        "2000 rows 4, with --given 6; of several maps 1]",
        show_default=False,
    ),
]
OfDrawsOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=2**32 - 1,
        metavar="INT",
        help="Seed of what is drawn and simulated.",
        show_default=False,
    ),
]
DevicesOption = Annotated[
    Devices | None,
    typer.Option(
        parser=parse_devices,
        metavar="all|1|2|4|8",
        help="Share rows over so many devices, or all that JAX has here: at steps of the fit that "
        "see all rows, held-out losses and the final solve. Mini-batches stay on one. "
        "[default: none]",
        show_default=False,
    ),
]
DistributedOption = Annotated[
    bool,
    typer.Option(
        "--distributed",
        help="This is one of several processes that make one fit: each reads its own row groups of "
        "DATA, which is Parquet, and all devices share the rows. Process 0 writes the model. Slurm "
        "and Open MPI say which process is which; else the three options below do.",
    ),
]
CoordinatorOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Where process 0 waits for the others.",
        show_default=False,
    ),
]
ProcessIdOption = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="INT", help="Which process this is, counted from 0.", show_default=False
    ),
]
NumProcessesOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="INT", help="How many processes there are.", show_default=False),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**32 - 1,
        metavar="INT",
        help="Seed of the initial weights and of the rows held out. [default: 0]",
        show_default=False,
    ),
]
OptimizerOption = Annotated[
    Optimizer | None,
    typer.Option(
        help="How the weights below the last layer are trained; auto: lbfgs-varpro, on more than "
        "8,192 rows schedule-free-adam. [default: auto]",
        show_default=False,
    ),
]
InnerOption = Annotated[
    Inner | None,
    typer.Option(
        help="How the last layer is solved for. [default: primal-dual]",
        show_default=False,
    ),
]
ModelOutput = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="MODEL",
        help="Where to write the model. [default: DATA's name with .brenier, in the current "
        "folder]",
        show_default=False,
    ),
]
ValidationOption = Annotated[
    str | None,
    typer.Option(
        "--validation",
        metavar="FILE",
        help="Rows that decide when to stop, and do not judge; without them some rows of DATA are "
        "held out.",
        show_default=False,
    ),
]
GivenOption = Annotated[
    str | None,
    typer.Option(
        "--given",
        metavar="COLUMN,COLUMN,...",
        help="Columns of DATA that are the context: the model is the density of the others given "
        "these.",
        show_default=False,
    ),
]
GivenValuesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        metavar="NAME=VALUE|FILE",
        help="The value of a column that is given, as in b=0.3; may be repeated. For a conditional "
        "model values of all of its context, or a file with rows of it.",
        show_default=False,
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Begin at the weights of a model of the same columns, fitted to much the same data: "
        "its settings hold where no others are given, and nothing is selected: an update "
        "in a hurry. Or go on from a checkpoint: with the same data and options.",
        show_default=False,
    ),
]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Keep the fit in this file as it goes on: after a kill or a power cut the same "
        "command goes on from there, to the same model.",
        show_default=False,
    ),
]
BlocksOption = Annotated[
    str | None,
    typer.Option(
        "--blocks",
        metavar="COLUMN,.../COLUMN,.../...",
        help="Blocks of columns, the leading one first: the model is a block-triangular density, "
        "which can be conditioned on its leading blocks. Columns that are in none come last.",
        show_default=False,
    ),
]
NMapsOption = Annotated[
    Maps | None,
    typer.Option(
        "--n-maps",
        parser=parse_maps,
        metavar="INT|auto",
        help="Compose so many maps, for thin curved shapes and several pieces; also with "
        "--given. auto: up to three, as held-out rows ask for. [default: 1]",
        show_default=False,
    ),
]
KindOption = Annotated[
    Kind,
    typer.Option(
        "--kind",
        help="One flow; a mixture of it and others, for data in pieces or on thin shapes, also "
        "with --given; or what held-out rows take of flows of one to three maps and the mixture.",
    ),
]
ChainsOption = Annotated[
    str | None,
    typer.Option(
        "--chains",
        metavar="COLUMN",
        help="The column of DATA that says which chain a row is a draw of, and no variable: rows "
        "of one chain are not independent of each other.",
        show_default=False,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="COLUMN",
        help="The column of DATA that holds the rows' weights, and no variable.",
        show_default=False,
    ),
]
LogWeightsOption = Annotated[
    str | None,
    typer.Option(
        "--log-weights",
        metavar="COLUMN",
        help="The column of DATA that holds the logarithms of the rows' weights, up to a constant.",
        show_default=False,
    ),
]
