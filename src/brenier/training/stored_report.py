"""The report in a model file, checked: every entry there, of its type, and in agreement."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from brenier.optimizers.progress import Progress
from brenier.training.report import FitReport

# What from the content of a file raises, where it is not what a report is made of.
MALFORMED = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
# Of parts of a fit's time that every report has; phases may be missing.
SECONDS = ("total", "runs", "compile", "inner", "gradient", "heldout")
COUNTS = ("n_maps", "n_members", "n_train", "n_heldout", "best_iteration", "n_evaluations")
COUNTS += ("inner_failures", "work_units", "n_radial", "n_judge", "n_rows", "n_far", "n_components")
# Integers of 64 bits.
MOST = np.iinfo(np.int64).max
SIZES = ("decay", "noise", "tail", "effective_size")
HISTORY = {field.name for field in fields(Progress)}
SAME_LENGTH = (("run_decay", "run_n_radial", "run_log_likelihood"), ("newton_steps", "chord_steps"))


def stored_report(plain: Any) -> FitReport:
    """Return the report that `to_dict` was made of.

    Raises
    ------
    ValueError
        If something is missing, of another type, or does not agree.
    """
    try:
        report = FitReport.from_dict(plain)
    except MALFORMED as error:
        raise ValueError(f"Expected a report; got one with a wrong entry: {error}.") from error
    check_types(report, "report")
    _check_agreement(report)
    return report


def check_types(instance: Any, where: str) -> None:
    """Raise `ValueError` unless the fields of a dataclass have the types of their annotations."""
    hints = get_type_hints(type(instance))
    for field in fields(instance):
        value = getattr(instance, field.name)
        if not conforms(value, hints[field.name]):
            raise ValueError(f"Expected {where} with another {field.name}; got {value!r:.80}.")


def conforms(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, as far as annotations of plain data go."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is list:
        return isinstance(value, list) and all(conforms(item, arguments[0]) for item in value)
    if origin is UnionType:
        return any(conforms(value, one) for one in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(conforms(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            conforms(key, arguments[0]) and conforms(item, arguments[1])
            for key, item in value.items()
        )
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, hint):
        check_types(value, hint.__name__)
        return True
    if hint is float:
        # JSON has one kind of numbers.
        return isinstance(value, float) or conforms(value, int)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST
    return isinstance(hint, type) and isinstance(value, hint)


def _check_agreement(report: FitReport) -> None:
    counts = [getattr(report, name) for name in COUNTS]
    sizes = [getattr(report, name) for name in SIZES]
    _require(min(counts) >= 0, "counts >= 0")
    _require(
        all(0 <= size < math.inf for size in sizes), "decay, noise, tail and effective size >= 0"
    )
    for names in SAME_LENGTH:
        _require(_are_as_long([getattr(report, name) for name in names]), f"{names} of one length")
    _require(HISTORY <= report.history.keys(), f"a history of {', '.join(sorted(HISTORY))}")
    _require(_are_as_long(list(report.history.values())), "a history of one length")
    _require(report.best_iteration <= report.n_iter, "the best iteration among all")
    _require(_are_times(report.seconds), f"the seconds {', '.join(SECONDS)}")
    _require((report.gain is None) == (report.log_likelihood is None), "both")


def _are_as_long(values: Sequence[Sequence[Any]]) -> bool:
    return len({len(one) for one in values}) == 1


def _are_times(seconds: Mapping[str, float]) -> bool:
    return {*SECONDS} <= seconds.keys() and all(0 <= s < math.inf for s in seconds.values())


def _require(holds: bool, what: str) -> None:  # noqa: FBT001 - what is required, then its words
    if not holds:
        raise ValueError(f"Expected a report with {what}; got another.")
