"""`brenier fit`: from a data file to a model file."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from os.path import exists
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli import options as o
from brenier.cli.begun import begun, parts_of
from brenier.cli.distributed import Asked, joined, share_devices, sharing
from brenier.cli.door import ExitCode, door, note
from brenier.cli.files import (
    STANDARD,
    Reading,
    check_output,
    display_name,
    items,
    model_path,
    with_names,
)
from brenier.cli.inputs import Inputs, read_inputs
from brenier.cli.progress import shown_progress
from brenier.cli.summary import block_titles, print_json, print_reports, reports_json, say
from brenier.cli.weights import WeightsColumn
from brenier.training.phases import Listener, PhaseLines
from brenier.training.signals import held_back

if TYPE_CHECKING:
    from brenier.estimators import (
        ConditionalConvexPotentialFlow,
        ConditionalConvexPotentialMixture,
        ConvexPotentialFlow,
        ConvexPotentialMixture,
        TriangularConvexPotentialFlow,
    )
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
    _check_together(settings, given=given, blocks=blocks, thesis=thesis)
    if begin_at is not None:
        _check_begun(given=given, blocks=blocks, kind=kind, thesis=thesis)
    if kind is not o.Kind.FLOW:
        both = settings | algorithm
        _check_kind(kind, both, given=given, blocks=blocks, thesis=thesis)
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
        from brenier.estimators import on_devices
        from brenier.estimators.constants import remember

        if devices is not None:
            stack.enter_context(on_devices.devices(devices.value))
        is_first = processes is None or processes.is_first
        quiet = quiet or not is_first
        reading = Reading.of(
            columns, drop, drop_missing=drop_missing, drop_constant=drop_constant, quiet=quiet
        )
        if processes is not None:
            stack.enter_context(share_devices(processes))
            reading = sharing(reading, processes)
        if is_first:
            check_output(model, inputs=(*data, validation))
        # When the process began, which a time limit counts from; None within another program.
        with shown_progress(quiet=quiet, began=context.obj) as listener:
            inputs = read_inputs(data, validation, weights_column, chains, reading)
            if isinstance(listener, PhaseLines):
                note(f"Fitting {inputs.size(inputs.worth)}")
            settings |= _algorithm(algorithm, thesis=thesis)
            # Until the model is written.
            stack.enter_context(held_back())
            flow = _fitted(
                inputs,
                settings,
                given=given,
                blocks=blocks,
                kind=kind,
                thesis=thesis,
                begin_at=begin_at,
                listener=listener,
            )
        remember(flow, inputs.constants)
        reports = _reports(flow)
        written = model if is_first and _is_worth_writing(reports, model) else None
        if written is not None:
            _save(flow, written, listener, max_seconds)
        if json and is_first:
            print_json(_json(reports, inputs, written))
        elif written is not None and not quiet:
            _print(reports, inputs, written)
        for report in reports.values() if is_first else ():
            _say_how_it_ended(report, inputs)
        raise typer.Exit(max(exit_code(report) for report in reports.values()))


def _check_together(
    settings: dict[str, Any], *, given: str | None, blocks: str | None, thesis: bool
) -> None:
    """Refuse options that ask for different models, or that a model has not."""
    composed = settings.get("n_maps", 1) != 1
    kinds = {"--given": given is not None, "--blocks": blocks is not None}
    kinds |= {"--n-maps": composed, "--thesis": thesis}
    asked = [name for name, wanted in kinds.items() if wanted]
    if len(asked) > 1 and asked != ["--given", "--n-maps"]:
        raise typer.BadParameter(f"{' and '.join(asked)} are different models: give one of them.")
    if given is not None and {"n_radial", "noise"} & settings.keys():
        raise typer.BadParameter("--given goes with neither --n-radial nor --noise.")
    for name, option in (("periods", "--period"), ("discrete", "--discrete")):
        if name in settings and (given is not None or blocks is not None):
            raise typer.BadParameter(f"{option} goes with neither --given nor --blocks.")
    if composed and settings["n_maps"] != "auto" and settings.get("n_estimators", 1) > 1:
        raise typer.BadParameter("--n-estimators does not go with --n-maps.")


def _check_begun(*, given: str | None, blocks: str | None, kind: o.Kind, thesis: bool) -> None:
    """Refuse options that say what the model already says."""
    others = {"--given": given is not None, "--blocks": blocks is not None, "--thesis": thesis}
    others |= {f"--kind {kind.value}": kind is not o.Kind.FLOW}
    asked = [option for option, is_asked in others.items() if is_asked]
    if asked:
        raise typer.BadParameter(
            f"--from does not go with {' or '.join(asked)}: the new model is of the old one's kind."
        )


def _check_kind(
    kind: o.Kind,
    settings: dict[str, Any],
    *,
    given: str | None,
    blocks: str | None,
    thesis: bool,
) -> None:
    """Refuse options that a mixture has not, nor what chooses between it and flows.

    A mixture given a context has those of its flow.
    """
    others = {"--blocks": blocks is not None, "--thesis": thesis}
    others |= {"--given": given is not None and kind is o.Kind.AUTO}
    if kind is o.Kind.MIXTURE and given is not None:
        others |= {"--n-maps auto": settings.get("n_maps") == "auto"}
        settings = {}
    names = ("n_maps", "whiten", "n_init", "activation", "optimizer", "inner")
    others |= {f"--{name.replace('_', '-')}": name in settings for name in names}
    asked = [option for option, is_asked in others.items() if is_asked]
    if asked:
        raise typer.BadParameter(f"--kind {kind.value} does not go with {' or '.join(asked)}.")


def _fitted(
    inputs: "Inputs",
    settings: dict[str, Any],
    *,
    given: str | None,
    blocks: str | None,
    kind: o.Kind,
    thesis: bool,
    begin_at: str | None,
    listener: Listener,
) -> Any:
    """Return the fitted density that is asked for."""
    if begin_at is not None:
        return _fit_begun(inputs, settings, begin_at, listener)
    if given is not None:
        return _fit_given(inputs, settings, items(given, "--given"), listener, kind=kind)
    if blocks is not None:
        return _fit_blocks(inputs, settings, blocks.split("/"), listener)
    return _fit(inputs, settings, listener, kind=kind, thesis=thesis)


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


def _algorithm(given: dict[str, Any], *, thesis: bool) -> dict[str, Any]:
    """Return the setting `algorithm` where options change it, else nothing."""
    from brenier.training.algorithm import Algorithm

    if not given:
        return {}
    return {"algorithm": Algorithm.thesis(**given) if thesis else Algorithm(**given)}


def _fit(
    inputs: Inputs, settings: dict[str, Any], listener: Listener, *, kind: o.Kind, thesis: bool
) -> "ConvexPotentialFlow | ConvexPotentialMixture":
    """Return the fitted density of all columns."""
    from brenier.estimators import ConvexPotentialFlow, ConvexPotentialMixture
    from brenier.estimators.auto import AutoDensity

    kinds = {o.Kind.FLOW: ConvexPotentialFlow, o.Kind.MIXTURE: ConvexPotentialMixture}
    made = kinds.get(kind, AutoDensity)
    flow = ConvexPotentialFlow.thesis(**settings) if thesis else made(**settings)
    rows = with_names(inputs.values, inputs.names)
    _run(flow, inputs, (rows,), inputs.validation_data, listener)
    return flow.chosen_ if isinstance(flow, AutoDensity) else flow


def _fit_blocks(
    inputs: Inputs, settings: dict[str, Any], blocks: list[str], listener: Listener
) -> "TriangularConvexPotentialFlow":
    """Return the fitted block-triangular density; columns of no block make the last one."""
    from brenier.estimators import (
        ConditionalConvexPotentialFlow,
        ConvexPotentialFlow,
        TriangularConvexPotentialFlow,
    )

    found = [items(block, "--blocks") for block in blocks]
    rest = [name for name in inputs.shown_names if not any(name in block for block in found)]
    whole = {name: settings.pop(name) for name in ("bounds", "max_seconds") if name in settings}
    of_joint = {name: settings[name] for name in ("n_radial", "noise") if name in settings}
    shared = {name: value for name, value in settings.items() if name not in of_joint}
    flow = TriangularConvexPotentialFlow(
        [*map(list, found), *([rest] if rest else [])],
        leading=ConvexPotentialFlow(**shared, **of_joint),
        following=ConditionalConvexPotentialFlow(**shared),
        random_state=settings.get("random_state", 0),
        **whole,
    )
    rows = with_names(inputs.values, inputs.names)
    _run(flow, inputs, (rows,), inputs.validation_data, listener)
    return flow


def _reports(flow: Any) -> "dict[str, FitReport]":
    """Return how the fit of every part of a model went, by what to call it."""
    from brenier.estimators import TriangularConvexPotentialFlow

    if not isinstance(flow, TriangularConvexPotentialFlow):
        return {"": flow.report_}
    return dict(zip(block_titles(flow.blocks_), flow.reports_, strict=True))


def _fit_given(
    inputs: Inputs,
    settings: dict[str, Any],
    context: Sequence[str],
    listener: Listener,
    *,
    kind: o.Kind,
) -> "ConditionalConvexPotentialFlow | ConditionalConvexPotentialMixture":
    """Return the fitted density of the other columns given those of the context."""
    from brenier.estimators import (
        ConditionalConvexPotentialFlow,
        ConditionalConvexPotentialMixture,
    )

    rows, validation = parts_of(inputs, context)
    is_mixture = kind is o.Kind.MIXTURE
    made = ConditionalConvexPotentialMixture if is_mixture else ConditionalConvexPotentialFlow
    flow = made(**settings)
    _run(flow, inputs, rows, validation, listener)
    return flow


def _fit_begun(inputs: Inputs, settings: dict[str, Any], path: str, listener: Listener) -> Any:
    """Return the density of the kind of a model, fitted from where that ended."""
    from brenier.estimators import ConvexPotentialFlow

    old, flow = begun(path, settings)
    if isinstance(old, ConvexPotentialFlow):
        rows = with_names(inputs.values, inputs.names)
        _run(flow, inputs, (rows,), inputs.validation_data, listener, start=old)
    else:
        parts, validation = parts_of(inputs, old.feature_names_in_.tolist())
        _run(flow, inputs, parts, validation, listener, start=old)
    return flow


def _run(
    flow: Any,
    inputs: Inputs,
    rows: tuple[Any, ...],
    validation_data: Any,
    listener: Listener,
    start: Any = None,
) -> None:
    """Fit, also where Ctrl-C ends the fit after it has something."""
    with _naming(inputs):
        # How the fit ended is said after its summary, from the report.
        warnings.filterwarnings("ignore", message="The fit ended with status")
        try:
            flow.fit(
                *rows,
                sample_weight=inputs.weights,
                groups=inputs.chains,
                validation_data=validation_data,
                callback=listener,
                **({} if start is None else {"start": start}),
            )
        except KeyboardInterrupt:
            if not {"report_", "flows_"} & vars(flow).keys():
                raise


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


@contextmanager
def _naming(inputs: Inputs) -> Iterator[None]:
    """Put the names of the files before what the estimator says about their content."""
    try:
        yield
    except ValueError as error:
        files = inputs.name
        if inputs.validation is not None:
            files += f" (validation: {display_name(inputs.validation)})"
        raise ValueError(f"{files}: {error}") from error


def _print(reports: "dict[str, FitReport]", inputs: Inputs, model: str) -> None:
    # The last one's rows are whole.
    *_, report = reports.values()
    data = ("data", f"{inputs.size(report.worth)}: {', '.join(inputs.shown_names)}")
    print_reports(inputs.name, [data], reports)
    say(f"Model written to {model}")


def _json(reports: "dict[str, FitReport]", inputs: Inputs, model: str | None) -> dict[str, Any]:
    size = {"rows": len(inputs.values), "columns": list(inputs.shown_names)}
    files = inputs.data[0] if len(inputs.data) == 1 else list(inputs.data)
    return {"model": model, "data": files, **size, **reports_json(reports)}


def _say_how_it_ended(report: "FitReport", inputs: Inputs) -> None:
    if not has_model(report):
        note(
            f"Error: {inputs.name}: the fit ended with status "
            f"'{report.status.value}' after {report.n_iter} iterations and found no density: no "
            "model was written. Leave out --thesis, or try --whiten full or a larger --decay."
        )
    elif not report.status.finished:
        note(f"Warning: {report.message}")
