"""The rows of the table: what brenier's speed must be, and what measures it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import data
from benchmarks.speed import measurements as m
from benchmarks.speed.table import Row

COLUMNS_OF_COMPILATION = (2, 4, 8, 13)
# Columns, and seconds that a compiled fit may take.
FIT_SECONDS = {4: 4.0, 8: 8.0, 10: 12.0, 13: 20.0, 26: 120.0}
COLUMNS_OF_KERNELS = (4, 8, 16)
KERNELS = {"features": "features", "newton": "Newton step", "gradient": "value and gradient"}
# Diamonds are left out: with 26 columns a spline flow takes many times longer there.
POSTERIORS = tuple(name for name in data.POSTERIOR_NAMES if name != "diamonds")
TIME_LIMITS = (5, 20, 60)


@dataclass(frozen=True)
class Measurement:
    """What gives the figures of some rows; it is named after the first of them."""

    rows: tuple[Row, ...]
    measure: Callable[[m.Place], m.Figures]

    @property
    def name(self) -> str:
        """The name of its first row."""
        return self.rows[0].name


def _fit_row(n: int, seconds: float) -> Row:
    what = f"default fit, compiled, {m.ROWS} x {n}"
    return Row(f"fit-{n}", what, "s", seconds, seconds / 2)


def _limit_rows(T: int) -> tuple[Measurement, ...]:
    must = 1.1 * T + 1.0
    on_line = Row(f"limit-command-{T}", f"--max-seconds {T}, whole process", "s", must)
    python = Row(f"limit-python-{T}", f"max_seconds={T}, fit in Python", "s", must)
    return (
        Measurement((on_line,), partial(m.limited_command, T)),
        Measurement((python,), partial(m.limited_fit, T)),
    )


def _kernel_rows(n: int) -> tuple[Row, ...]:
    return tuple(
        Row(f"{kernel}-{n}", f"{words}, N = {m.ROWS}, n = {n}", "Gflop/s", 20.0, 30.0, least=True)
        for kernel, words in KERNELS.items()
    )


def _large_rows(name: str, words: str, seconds: float, gigabytes: float | None) -> tuple[Row, ...]:
    half = None if gigabytes is None else gigabytes / 2
    return (
        Row(name, f"default fit, {words} x 6, first in its process", "s", seconds, seconds / 2),
        Row(f"{name}-memory", f"default fit, {words} x 6, peak memory", "GB", gigabytes, half),
    )


MEASUREMENTS: tuple[Measurement, ...] = (
    Measurement(
        (
            Row("command-first", "README's first command, empty cache", "s", 15.0, 8.0),
            Row("command-again", "README's first command, second run", "s", 8.0, 4.0),
        ),
        m.command,
    ),
    *(
        Measurement(
            (Row(f"compile-{n}", f"compilation, fit, score, sample, n = {n}", "s", 10.0, 5.0),),
            partial(m.compilation, n),
        )
        for n in COLUMNS_OF_COMPILATION
    ),
    *(
        Measurement((_fit_row(n, seconds),), partial(m.compiled_fit, n))
        for n, seconds in FIT_SECONDS.items()
    ),
    *(
        Measurement(
            (Row(f"zuko-{name}", f"compiled fit / spline flow's fit, {name}", "", 1.0, 1 / 3),),
            partial(m.against_spline_flow, name),
        )
        for name in POSTERIORS
    ),
    Measurement(
        (
            Row("sample-first", "first sample of 1000 rows, warm cache", "s", 2.0),
            Row("sample-next", "further samples of 1000 rows", "ms", 20.0),
        ),
        m.sampling,
    ),
    *(Measurement(_kernel_rows(n), partial(m.kernels, n)) for n in COLUMNS_OF_KERNELS),
    Measurement(
        (
            Row(
                "cross-validation",
                f"5-fold cross_val_score, {m.ROWS} x 4, whole process",
                "s",
                40.0,
                20.0,
            ),
        ),
        m.cross_validation,
    ),
    Measurement(
        _large_rows("rows-1e5", "100,000", 60.0, None), partial(m.large, "rows-1e5", 10**5)
    ),
    Measurement(
        _large_rows("rows-1e6", "1,000,000", 300.0, 2.0), partial(m.large, "rows-1e6", 10**6)
    ),
    *(measurement for T in TIME_LIMITS for measurement in _limit_rows(T)),
    Measurement(
        (
            Row(
                "short-gain",
                f"max_seconds={m.SHORT_FIT}, garch11: share of the full gain",
                "%",
                80.0,
                least=True,
            ),
        ),
        m.short_gain,
    ),
    Measurement(
        (
            Row("guide", "all blocks of the guide, empty cache", "s"),
            Row("guide-longest", "... the longest of them", "s"),
        ),
        m.guide,
    ),
    Measurement(
        (
            Row("memory", "30 fits of ten shapes: resident memory", "GB", 1.5),
            Row("memory-growth", "... growth over the last ten", "GB"),
        ),
        m.memory,
    ),
)


def all_rows() -> list[Row]:
    """Return every row of the table, in order."""
    return [row for measurement in MEASUREMENTS for row in measurement.rows]
