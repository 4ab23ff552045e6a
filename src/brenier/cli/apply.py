"""`brenier score`, `sample`, `transform`, `inverse`: a model file applied to rows."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.files import (
    STANDARD,
    check_output,
    display_name,
    read_rows,
    stored_names,
    variable_names,
    with_names,
)
from brenier.cli.summary import print_json, print_lines

if TYPE_CHECKING:
    import numpy as np

    from brenier.estimators import ConvexPotentialFlow
    from brenier.report import MeanAndError

# Rows of density zero that are listed.
SHOWN = 5


def score(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write every row's log-density (nats), column log_density.",
            show_default=False,
        ),
    ] = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Print the mean log-likelihood of a data file under a model.

    Log-likelihoods are in nats per row, with standard errors.
    """
    if json and output == STANDARD:
        raise typer.BadParameter("--json and -o - would both write to standard output.")
    with door(debug=debug, quiet=quiet):
        from brenier.tables import write_table

        if output is not None:
            check_output(output, inputs=(model, data))
        flow = _load(model)
        X = read_rows(data, variable_names(flow), quiet=quiet)
        result = _score(flow, X)
        if output is not None:
            write_table(output, result.log_density, ["log_density"])
        if json:
            print_json({"model": model, "data": data, **_score_json(result)})
        elif not quiet:
            _print_score(result, f"{display_name(data)} under {model}", output=output)
        elif output != STANDARD:
            typer.echo(repr(result.mean.mean))


def sample(
    model: o.ModelArgument,
    *,
    n: Annotated[
        int, typer.Option("-n", "--number", min=1, metavar="INT", help="How many rows to draw.")
    ] = 1000,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**32 - 1,
            metavar="INT",
            help="Seed. [default: that of the fit]",
            show_default=False,
        ),
    ] = None,
    output: o.RowsOutput = STANDARD,
    debug: o.Debug = False,
) -> None:
    """Draw new rows from a model's density."""
    with door(debug=debug):
        check_output(output, inputs=(model,))
        flow = _load(model)
        _write(output, flow.sample(n, random_state=seed), variable_names(flow))


def transform(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    output: o.RowsOutput = STANDARD,
    debug: o.Debug = False,
) -> None:
    """Map rows to normal space.

    The columns z0, z1, ... are independent and standard normal if the fit is right.
    """
    with door(debug=debug):
        check_output(output, inputs=(model, data))
        flow = _load(model)
        X = read_rows(data, variable_names(flow))
        Z = flow.transform(_named(flow, X))
        _write(output, Z, _normal_names(flow))


def inverse(
    model: o.ModelArgument,
    data: o.DataArgument,
    *,
    output: o.RowsOutput = STANDARD,
    debug: o.Debug = False,
) -> None:
    """Map rows of normal space back to the data's columns.

    The columns of DATA are z0, z1, ..., as `brenier transform` writes them.
    """
    with door(debug=debug):
        check_output(output, inputs=(model, data))
        flow = _load(model)
        Z = read_rows(data, _normal_names(flow))
        _write(output, flow.inverse_transform(Z), variable_names(flow))


def _load(path: str) -> "ConvexPotentialFlow":
    from brenier.estimators import load

    return load(path)


def _named(flow: "ConvexPotentialFlow", X: "np.ndarray") -> Any:
    return with_names(X, stored_names(flow))


def _normal_names(flow: "ConvexPotentialFlow") -> list[str]:
    return [str(name) for name in flow.get_feature_names_out()]


def _write(path: str, values: "np.ndarray", names: list[str]) -> None:
    from brenier.tables import write_table

    write_table(path, values, names)


@dataclass(frozen=True)
class _Score:
    """Log-densities of N rows, their mean, and that of what they gain over the Gaussian.

    `inside` are the means over the rows whose density is not zero, where there are others.
    """

    log_density: "np.ndarray"
    mean: "MeanAndError"
    gain: "MeanAndError"
    inside: "tuple[MeanAndError, MeanAndError] | None"
    zero: tuple[str, ...]

    @property
    def verdict(self) -> str:
        from brenier.report import verdict

        return verdict(self.gain, rows=f"these {len(self.log_density)} rows")


def _score(flow: "ConvexPotentialFlow", X: "np.ndarray") -> _Score:
    import numpy as np

    from brenier.report import MeanAndError

    log_density = flow.score_samples(_named(flow, X))
    baseline = flow.baseline_score_samples(_named(flow, X))
    positive = log_density > -np.inf
    gain = np.full(len(X), -np.inf)
    gain[positive] = log_density[positive] - baseline[positive]
    inside = None
    if positive.any() and not positive.all():
        inside = MeanAndError.of(log_density[positive]), MeanAndError.of(gain[positive])
    return _Score(
        log_density,
        MeanAndError.of(log_density),
        MeanAndError.of(gain),
        inside,
        tuple(_zero_row(flow, X, int(row)) for row in np.flatnonzero(~positive)),
    )


def _zero_row(flow: "ConvexPotentialFlow", X: "np.ndarray", row: int) -> str:
    """Return a row's number, counted from 1, and the bounds it violates."""
    bounds = flow.flow_.preprocessing.column_bounds
    outside = [
        f"{name} = {x:g} is not in ({low:g}, {high:g})"
        for name, x, low, high in zip(
            variable_names(flow), X[row], bounds.low, bounds.high, strict=True
        )
        if not low < x < high
    ]
    return f"row {row + 1}: {', '.join(outside) or 'too far from the training data'}"


def _print_score(result: _Score, title: str, *, output: str | None) -> None:
    lines = [
        ("rows", str(len(result.log_density))),
        ("mean log-likelihood", _text(result.mean)),
        ("gain over Gaussian", _text(result.gain)),
    ]
    if result.zero:
        more = len(result.zero) - SHOWN
        shown = [*result.zero[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
        lines.append(("density zero", f"{len(result.zero)} rows (counted from 1)"))
        lines += [("", text) for text in shown]
    if result.inside is not None:
        mean, gain = result.inside
        lines.append(("the other rows", f"{_text(mean)}, gain over Gaussian {_text(gain)}"))
    to_stderr = output == STANDARD
    print_lines(title, lines, to_stderr=to_stderr)
    typer.echo(result.verdict, err=to_stderr)
    if result.gain.mean > 0:
        typer.echo(
            "Rows that the model was fitted to flatter it; judge it by others.", err=to_stderr
        )
    if output not in (None, STANDARD):
        typer.echo(f"Log-densities written to {output}")


def _text(value: "MeanAndError") -> str:
    known_error = not math.isnan(value.standard_error)
    return f"{value if known_error else format(value.mean, '.4f')} nats per row"


def _score_json(result: _Score) -> dict[str, Any]:
    inside = result.inside or (result.mean, result.gain)
    return {
        "rows": len(result.log_density),
        "log_likelihood": _plain(result.mean),
        "gain": _plain(result.gain),
        "rows_of_density_zero": len(result.zero),
        "first_of_density_zero": list(result.zero[:SHOWN]),
        "log_likelihood_of_other_rows": _plain(inside[0]),
        "gain_of_other_rows": _plain(inside[1]),
        "verdict": result.verdict,
    }


def _plain(value: "MeanAndError") -> dict[str, float]:
    return {"mean": value.mean, "standard_error": value.standard_error}
