"""`brenier info`: what a model file is, without loading the model."""

from typing import TYPE_CHECKING, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import door
from brenier.cli.summary import print_json, print_lines, report_json, report_lines

if TYPE_CHECKING:
    from brenier.report import FitReport


def info(model: o.ModelArgument, *, json: o.Json = False, debug: o.Debug = False) -> None:
    """Show a model's columns, settings, and how its fit went."""
    with door(debug=debug):
        from brenier.persistence import ModelFileError, read_model
        from brenier.report import FitReport

        metadata, arrays = read_model(model)
        if "parts" in metadata:
            raise ModelFileError(
                f"Expected a model of one flow in {model}; got a {metadata.get('estimator')} of "
                f"several, with blocks {metadata.get('blocks')}. Its flows tell of themselves from "
                "Python: brenier.load(...).flows_."
            )
        try:
            report = FitReport.from_dict(metadata["report"])
            known, columns = _columns(metadata, n=arrays["probes"].shape[1])
            settings = dict(metadata["parameters"])
            version = str(metadata["brenier_version"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelFileError(
                f"Expected a complete brenier model in {model}; got one without its "
                f"{error}. Fit again, or read it with the version that wrote it."
            ) from error
        if json:
            print_json(
                {
                    "model": model,
                    "brenier_version": version,
                    "known": known,
                    "columns": columns,
                    "parameters": settings,
                    **report_json(report),
                    "report": report.to_dict(),
                }
            )
        else:
            _print(model, version, known, columns, settings, report)


def _columns(metadata: dict[str, Any], *, n: int) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the known columns, and names and bounds of the density's own, None if infinite."""
    targets = metadata.get("target_names")
    n_own = n if targets is None else len(targets)
    others = metadata["column_names"] or [
        f"x{j}" for j in range(n if targets is None else n - n_own)
    ]
    known, names = ([], others) if targets is None else (others, targets)
    bounds = metadata["parameters"]["bounds"] or [(None, None)] * n_own
    return known, [
        {"name": name, "low": low, "high": high}
        for name, (low, high) in zip(names, bounds, strict=True)
    ]


def _print(
    model: str,
    version: str,
    known: list[str],
    columns: list[dict[str, Any]],
    settings: dict[str, Any],
    report: "FitReport",
) -> None:
    lines = [("written by", f"brenier {version}")]
    if known:
        lines.append(("given", ", ".join(known)))
    lines += [("columns" if j == 0 else "", _column(column)) for j, column in enumerate(columns)]
    shown = {name: value for name, value in settings.items() if name != "bounds"}
    lines.append(("settings", ", ".join(f"{name}={_text(v)}" for name, v in shown.items())))
    print_lines(model, [*lines, *report_lines(report)])
    typer.echo(report.verdict)


def _column(column: dict[str, Any]) -> str:
    low, high = column["low"], column["high"]
    if low is None and high is None:
        return column["name"]
    low_text, high_text = ("" if bound is None else f"{bound:g}" for bound in (low, high))
    return f"{column['name']}={low_text}:{high_text}"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
