"""`brenier evidence`: the marginal likelihood of a posterior, from draws of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.files import (
    Reading,
    as_arguments,
    files_name,
    is_conditional,
    load_density,
    variable_names,
)
from brenier.cli.inputs import read_inputs
from brenier.cli.summary import print_json, print_lines
from brenier.cli.weights import WeightsColumn

if TYPE_CHECKING:
    import numpy as np

    from brenier.cli.inputs import Inputs

LogPosteriorOption = Annotated[
    str | None,
    typer.Option(
        "--log-posterior",
        metavar="COLUMN",
        help="The column of DATA that holds the logarithm of the unnormalised posterior of the "
        "columns as they are. Stan's lp__ is that if no parameter is constrained, and without the "
        "constants of statements with ~.",
        show_default=False,
    ),
]
MinusLogPosteriorOption = Annotated[
    str | None,
    typer.Option(
        "--minus-log-posterior",
        metavar="COLUMN",
        help="The same for its negative, as in chains of GetDist and Cobaya.",
        show_default=False,
    ),
]


def evidence(
    model: o.ModelArgument,
    data: o.TablesArgument,
    *,
    log_posterior: LogPosteriorOption = None,
    minus_log_posterior: MinusLogPosteriorOption = None,
    chains: o.ChainsOption = None,
    drop_missing: o.DropMissingOption = False,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Print the evidence of a posterior, from draws that the model was not fitted to.

    The logarithm of the marginal likelihood, by the truncated harmonic mean, in nats, with its
    standard error. Draws come in the order of their chains. The whole weights of a chain's file are
    repetitions.
    """
    if (log_posterior is None) == (minus_log_posterior is None):
        raise typer.BadParameter("expected one of --log-posterior and --minus-log-posterior.")
    column = log_posterior or minus_log_posterior or ""
    with door(debug=debug, quiet=quiet):
        flow = load_density(model)
        names = _names(flow, model, column)
        reading = Reading((*names, column), drop_missing=drop_missing, quiet=quiet)
        found = read_inputs([*data], None, WeightsColumn.of(None, None), chains, reading)
        X, logs, groups = _draws(found, names, column)
        (rows,) = as_arguments(flow, X)
        sign = -1.0 if log_posterior is None else 1.0
        result = flow.evidence_of_draws(rows, sign * logs, groups=groups)
        if json:
            print_json({"model": model, "data": list(data), "column": column, **vars(result)})
        elif quiet:
            typer.echo(repr(result.log_evidence))
        else:
            worth = f"{result.n_draws}, worth {result.effective_size:.0f}"
            lines = [
                ("log evidence", f"{result.log_evidence:.4f} +- {result.standard_error:.4f} nats"),
                ("draws", worth),
                ("Pareto k", f"{result.pareto_shape:.2f}"),
            ]
            print_lines(f"{files_name(data)} under {model}", lines)


def _names(flow: object, model: str, column: str) -> list[str]:
    """Return the columns of a density of which there is an evidence."""
    if is_conditional(flow):
        raise ValueError(
            f"Expected a density of all columns in {model}; got one given a context, which has no "
            "evidence. Fit without --given."
        )
    names = variable_names(flow)
    if column in names:
        raise ValueError(
            f"Expected a model without the column {column!r}, the logarithm of the posterior; got "
            f"one that was fitted to it. Fit with --drop {column}."
        )
    return names


def _draws(
    found: "Inputs", names: list[str], column: str
) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Return draws in the model's columns, their log-posteriors, and chains; those of one if none.

    Draws that count several times are there so often: neighbours that are alike are not
    independent.
    """
    import numpy as np

    there = found.shown_names
    for name in (*names, column):
        if name not in there:
            raise ValueError(
                f"Expected the column {name!r} in {found.name}; got {', '.join(there)}."
            )
    rows = found.values[:, [there.index(name) for name in (*names, column)]]
    groups = np.zeros(len(rows)) if found.chains is None else found.chains
    if found.weights is not None:
        broken = found.weights[found.weights % 1 > 0]
        if len(broken):
            raise ValueError(
                f"Expected whole weights in {found.name}, how often a chain stayed where it was; "
                f"got {broken[0]:g}. Draw rows by their weights first."
            )
        times = found.weights.astype(int)
        rows, groups = np.repeat(rows, times, axis=0), np.repeat(groups, times)
    return rows[:, :-1].copy(), rows[:, -1].copy(), groups
