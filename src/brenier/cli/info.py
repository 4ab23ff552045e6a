"""`brenier info`: what a model file is, without loading the model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.summary import (
    Lines,
    block_titles,
    print_json,
    print_reports,
    report_json,
)
from brenier.data.names import checked_names, default_names

if TYPE_CHECKING:
    import numpy as np

    from brenier.training.report import FitReport


@dataclass(frozen=True)
class _Part:
    """A density in a file: the only one, or that of a block given the blocks before it.

    `columns` have names and bounds, None where there are none.
    """

    context: list[str]
    columns: list[dict[str, Any]]
    settings: dict[str, Any]
    report: "FitReport"

    def to_json(self) -> dict[str, Any]:
        return {
            "context": self.context,
            "columns": self.columns,
            "parameters": self.settings,
            **report_json(self.report),
            "report": self.report.to_dict(),
        }


def info(model: o.ModelArgument, *, json: o.Json = False, debug: o.Debug = False) -> None:
    """Show a model's columns, settings, and how its fit went."""
    with door(debug=debug):
        from brenier.estimators.constants import constants_from_file
        from brenier.io.model_file import ModelFileError, read_model
        from brenier.training.stored_report import MALFORMED

        metadata, arrays = read_model(model)
        try:
            kind, version = str(metadata["kind"]), str(metadata["brenier_version"])
            parts = _parts(metadata, arrays)
            lines = {title: list(_lines(part)) for title, part in parts.items()}
            constants = dict(constants_from_file(metadata))
        except MALFORMED as error:
            raise ModelFileError(
                f"Expected a complete brenier model in {model}; got one without its "
                f"{error}. Fit again, or read it with the version that wrote it."
            ) from error
        if json:
            plain = [part.to_json() for part in parts.values()]
            whole = plain[0] if list(parts) == [""] else {"blocks": plain}
            print_json(
                {"model": model, "brenier_version": version, "kind": kind, **whole}
                | ({"constants": constants} if constants else {})
            )
        else:
            known = ", ".join(f"{name} = {value:g}" for name, value in constants.items())
            more = [("constant", known)] if known else []
            _print(
                model, [("model", kind), ("written by", f"brenier {version}"), *more], parts, lines
            )


def _parts(metadata: dict[str, Any], arrays: "dict[str, np.ndarray]") -> dict[str, _Part]:
    """Return the densities in a file, by what to call them."""
    if "parts" not in metadata:
        return {"": _part(metadata, arrays["probes"].shape[1])}
    sizes = [arrays[f"block{k}.probes"].shape[1] for k in range(len(metadata["parts"]))]
    parts = [_part(part, n) for part, n in zip(metadata["parts"], sizes, strict=True)]
    return dict(zip(block_titles(metadata["blocks"]), parts, strict=True))


def _part(metadata: dict[str, Any], n: int) -> _Part:
    """Return a density, `n` the number of its columns and the context's together."""
    from brenier.training.stored_report import stored_report

    n_own = n if metadata["target_names"] is None else len(metadata["target_names"])
    targets = checked_names(metadata, "target_names", n_own, different=False)
    n_others = n if targets is None else n - n_own
    others = checked_names(metadata, "column_names", n_others) or default_names(n_others)
    context, names = ([], others) if targets is None else (others, targets)
    settings = dict(metadata["parameters"])
    bounds = settings["bounds"] or [(None, None)] * n_own
    columns = [
        {"name": name, "low": low, "high": high}
        for name, (low, high) in zip(names, bounds, strict=True)
    ]
    return _Part(context, columns, settings, stored_report(metadata["report"]))


def _print(
    model: str,
    first: list[tuple[str, str]],
    parts: dict[str, _Part],
    lines: dict[str, list[tuple[str, str]]],
) -> None:
    heading = model
    for title, part in parts.items():
        print_reports(heading, [*first, *lines[title]], {title: part.report})
        heading, first = "", []


def _lines(part: _Part) -> Lines:
    if part.context:
        yield "given", ", ".join(part.context)
    for j, column in enumerate(part.columns):
        yield "columns" if j == 0 else "", _column(column)
    shown = {name: value for name, value in part.settings.items() if name != "bounds"}
    yield "settings", ", ".join(f"{name}={_text(value)}" for name, value in shown.items())


def _column(column: dict[str, Any]) -> str:
    low, high = column["low"], column["high"]
    if low is None and high is None:
        return column["name"]
    low_text, high_text = ("" if bound is None else f"{bound:g}" for bound in (low, high))
    return f"{column['name']}={low_text}:{high_text}"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
