"""From what was read and what is asked for to a fitted density."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from brenier.cli import options as o
from brenier.cli.begun import begun, parts_of
from brenier.cli.files import display_name, items, with_names
from brenier.cli.inputs import Inputs
from brenier.cli.wanted import Wanted
from brenier.training.phases import Listener

if TYPE_CHECKING:
    from brenier.estimators import (
        ConditionalConvexPotentialFlow,
        ConditionalConvexPotentialMixture,
        ConvexPotentialFlow,
        ConvexPotentialMixture,
        TriangularConvexPotentialFlow,
    )


def fitted(wanted: Wanted, inputs: Inputs, listener: Listener) -> Any:
    """Return the fitted density that is asked for."""
    settings = wanted.settings | _algorithm(wanted.algorithm, thesis=wanted.thesis)
    if wanted.begin_at is not None:
        return _fit_begun(inputs, settings, wanted.begin_at, listener)
    if wanted.given is not None:
        context = items(wanted.given, "--given")
        return _fit_given(inputs, settings, context, listener, kind=wanted.kind)
    if wanted.blocks is not None:
        return _fit_blocks(inputs, settings, wanted.blocks.split("/"), listener)
    return _fit(inputs, settings, listener, kind=wanted.kind, thesis=wanted.thesis)


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
