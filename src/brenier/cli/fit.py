"""`brenier fit`: from a data file to a model file."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import Enum
from os.path import exists
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli import options as o
from brenier.cli.checkpoints import kept_in, parted
from brenier.cli.distributed import Asked, joined, sharing_devices
from brenier.cli.door import ExitCode, door, note
from brenier.cli.files import STANDARD, Reading, check_output, items, model_path
from brenier.cli.fitted import fitted
from brenier.cli.inputs import Inputs, read_inputs
from brenier.cli.progress import shown_progress
from brenier.cli.sharing import sharing_of
from brenier.cli.summary import block_titles, print_json, print_reports, reports_json, say
from brenier.cli.wanted import Wanted
from brenier.cli.weights import WeightsColumn
from brenier.training.phases import Listener, PhaseLines
from brenier.training.signals import held_back

if TYPE_CHECKING:
    from brenier.training.report import FitReport

# So long after its limit a fit waits for the probes of its model file to be computed (seconds).
PROBES_SECONDS = 0.5


def fit(
    context: o.Context,
    data: o.TablesArgument,
    *,
    output: o.ModelOutput = None,
    validation: o.ValidationOption = None,
    columns: o.ColumnsOption = None,
    drop: o.DropOption = None,
    drop_missing: o.DropMissingOption = False,
    max_rows: o.MaxRowsOption = None,
    drop_constant: o.DropConstantOption = False,
    weights: o.WeightsOption = None,
    log_weights: o.LogWeightsOption = None,
    chains: o.ChainsOption = None,
    given: o.GivenOption = None,
    blocks: o.BlocksOption = None,
    kind: o.KindOption = o.Kind.FLOW,
    n_maps: o.NMapsOption = None,
    bounds: o.BoundsOption = None,
    period: o.PeriodOption = None,
    discrete: o.DiscreteOption = None,
    whiten: o.WhitenOption = None,
    widths: o.WidthsOption = None,
    n_radial: o.NRadialOption = None,
    activation: o.ActivationOption = None,
    thesis: o.ThesisOption = False,
    tau: o.TauOption = None,
    decay: o.DecayOption = None,
    noise: o.NoiseOption = None,
    max_iter: o.MaxIterOption = None,
    tol: o.TolOption = None,
    max_seconds: o.MaxSecondsOption = None,
    validation_fraction: o.ValidationFractionOption = None,
    judge_fraction: o.JudgeFractionOption = None,
    n_init: o.NInitOption = None,
    n_estimators: o.NEstimatorsOption = None,
    seed: o.SeedOption = None,
    begin_at: o.FromOption = None,
    checkpoint: o.CheckpointOption = None,
    optimizer: o.OptimizerOption = None,
    inner: o.InnerOption = None,
    devices: o.DevicesOption = None,
    distributed: o.DistributedOption = False,
    coordinator: o.CoordinatorOption = None,
    process_id: o.ProcessIdOption = None,
    num_processes: o.NumProcessesOption = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Fit a density to a data file and write the model.

    Ctrl-C, or SIGTERM, ends the fit early and writes the best model so far.
    """
    settings = _settings(
        bounds=_pairs(bounds, "--bounds"),
        periods=_pairs(period, "--period"),
        discrete=None if discrete is None else list(items(discrete, "--discrete")),
        whiten=whiten,
        widths=None if widths is None else widths.values,
        n_radial=n_radial,
        tau=tau,
        decay=decay,
        noise=noise,
        max_iter=max_iter,
        tol=tol,
        max_seconds=max_seconds,
        validation_fraction=validation_fraction,
        judge_fraction=judge_fraction,
        n_init=n_init,
        n_estimators=n_estimators,
        random_state=seed,
        n_maps=None if n_maps is None else n_maps.value,
    )
    algorithm = _settings(activation=activation, optimizer=optimizer, inner=inner)
    model = _model(data[0], output)
    checkpoint, begin_at = parted(checkpoint, begin_at)
    wanted = Wanted(settings, algorithm, given, blocks, kind, thesis=thesis, begin_at=begin_at)
    wanted.check()
    weights_column = WeightsColumn.of(weights, log_weights)
    if [*data, validation].count(STANDARD) > 1:
        raise typer.BadParameter("standard input can be one of DATA and --validation only.")
    asked = Asked(distributed, coordinator, process_id, num_processes)
    asked.check(context.params)
    with (
        joined(asked, context.params, debug=debug) as processes,
        door(debug=debug, quiet=quiet),
        ExitStack() as stack,
    ):
        from brenier.estimators.constants import remember

        is_first = processes is None or processes.is_first
        quiet = quiet or not is_first
        reading = Reading.of(
            columns,
            drop,
            drop_missing=drop_missing,
            drop_constant=drop_constant,
            quiet=quiet,
            most_rows=o.most_rows(max_rows),
        )
        reading = replace(reading, sharing=sharing_of(processes))
        stack.enter_context(sharing_devices(devices, processes))
        if is_first:
            _check_outputs(model, checkpoint, inputs=(*data, validation, begin_at))
        # When the process began, which a time limit counts from; None within another program.
        with shown_progress(quiet=quiet, began=context.obj) as listener:
            inputs = read_inputs(data, validation, weights_column, chains, reading)
            if isinstance(listener, PhaseLines):
                note(f"Fitting {inputs.size(inputs.worth)}")
            # Until the model is written.
            stack.enter_context(held_back())
            with kept_in(checkpoint, processes, quiet=quiet):
                flow = fitted(wanted, inputs, listener)
        remember(flow, inputs.constants)
        reports = _reports(flow)
        if is_first:
            written = model if _is_worth_writing(reports, model) else None
            if written is not None:
                _save(flow, written, listener, max_seconds)
            if json:
                print_json(_json(reports, inputs, written))
            elif written is not None and not quiet:
                _print(reports, inputs, written)
            for report in reports.values():
                _say_how_it_ended(report, inputs, checkpoint)
        raise typer.Exit(max(exit_code(report) for report in reports.values()))


def _check_outputs(model: str, checkpoint: str | None, *, inputs: Sequence[str | None]) -> None:
    """Raise `ValueError` where the model or the checkpoint cannot be written."""
    check_output(model, inputs=(*inputs, checkpoint))
    if checkpoint is not None:
        check_output(checkpoint, inputs=inputs)


def has_model(report: "FitReport") -> bool:
    """Whether the fit has a density to give: an iterate of a run, the Gaussian, or a mixture."""
    return report.is_gaussian or report.best_iteration > 0 or report.n_components > 1


def _is_worth_writing(reports: "dict[str, FitReport]", model: str) -> bool:
    """Whether all parts are there; a Gaussian in place of a search replaces no older model."""
    from brenier.status import FitStatus

    if not all(has_model(report) for report in reports.values()):
        return False
    nothing = all(
        report.status is FitStatus.INTERRUPTED and not report.searched
        for report in reports.values()
    )
    if nothing and exists(model):
        note(f"Nothing was searched yet: {model} stays as it is.")
        return False
    return True


def exit_code(report: "FitReport") -> ExitCode:
    """Return what a fit that ended so tells the caller: with a model, a limit is no error."""
    from brenier.status import FitStatus

    if report.status is FitStatus.INTERRUPTED:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE if has_model(report) else ExitCode.NO_MODEL


def _settings(**given: Any) -> dict[str, Any]:
    """Return the settings that were given, as the estimator takes them."""
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in given.items()
        if value is not None
    }


def _pairs(
    given: list[o.Bounds] | None, option: str
) -> dict[str, tuple[float | None, float | None]] | None:
    """Return the ends that an option gives each column."""
    pairs = {ends.name: (ends.low, ends.high) for ends in given or ()}
    if len(pairs) < len(given or ()):
        raise typer.BadParameter(f"expected {option} once for each column.")
    return pairs or None


def _model(data: str, output: str | None) -> str:
    if STANDARD in (data, output) and output in (None, STANDARD):
        raise typer.BadParameter("expected the name of a file for the model: give one with -o.")
    return model_path(data) if output is None else output


def _reports(flow: Any) -> "dict[str, FitReport]":
    """Return how the fit of every part of a model went, by what to call it."""
    from brenier.estimators import TriangularConvexPotentialFlow

    if not isinstance(flow, TriangularConvexPotentialFlow):
        return {"": flow.report_}
    return dict(zip(block_titles(flow.blocks_), flow.reports_, strict=True))


def _save(flow: Any, path: str, listener: Listener, max_seconds: float | None) -> None:
    """Write the model; where there is no time to compute its probes, without them."""
    if max_seconds is None or listener.began is None:
        flow.save(path)
        return
    from threading import Event

    from brenier.training.background import Patience, Work

    ends = listener.began + max_seconds + PROBES_SECONDS
    interrupted = Event()
    patience = Patience(ends, interrupted, grace=0.0)
    work = Work(lambda: flow.save(path))
    if patience() > 0 and work.start().wait(patience, interrupted):
        work.result  # noqa: B018 - raises what it raised
    else:
        flow.save(path, probes=False)


def _print(reports: "dict[str, FitReport]", inputs: Inputs, model: str) -> None:
    # The last one's rows are whole.
    *_, report = reports.values()
    data = ("data", f"{inputs.size(report.worth)}: {', '.join(inputs.shown_names)}")
    print_reports(inputs.name, [data], reports)
    say(f"Model written to {model}")


def _json(reports: "dict[str, FitReport]", inputs: Inputs, model: str | None) -> dict[str, Any]:
    rows = {"rows": len(inputs.values), "rows_read": inputs.n_read}
    size = {**rows, "columns": list(inputs.shown_names)}
    files = inputs.data[0] if len(inputs.data) == 1 else list(inputs.data)
    return {"model": model, "data": files, **size, **reports_json(reports)}


def _say_how_it_ended(report: "FitReport", inputs: Inputs, checkpoint: str | None) -> None:
    if not has_model(report):
        note(
            f"Error: {inputs.name}: the fit ended with status "
            f"'{report.status.value}' after {report.n_iter} iterations and found no density: no "
            "model was written. Leave out --thesis, or try --whiten full or a larger --decay."
        )
    elif not report.status.finished:
        note(f"Warning: {report.message}")
        if checkpoint is not None and report.status.out_of_time:
            note(f"Note: with --from {checkpoint} the same command goes on from there.")
