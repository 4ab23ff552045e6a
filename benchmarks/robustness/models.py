"""Model files altered at random, half of them with a checksum that is right again.

A file may be refused with a `ModelFileError`. One that is loaded must do all that a model does.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load as arrays_of
from safetensors.numpy import save

from benchmarks.robustness.alter import altered_array, altered_bytes, altered_data
from benchmarks.robustness.attempts import PART
from brenier import ConvexPotentialRegressor, TriangularConvexPotentialFlow, load
from brenier.cli.info import info
from brenier.estimators.abstract_conditional import AbstractConditional
from brenier.io.model_file import FORMAT_VERSION, ModelFileError, read_model
from brenier.training.report import FitReport

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
PREFIX_BYTES = 8

Content = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Original:
    """A model file as it is: its bytes, and what it holds in its own format and in today's."""

    name: str
    blob: bytes
    version: int
    old: Content
    new: Content

    @staticmethod
    def of(path: Path) -> "Original":
        """Return a file."""
        blob = path.read_bytes()
        length = int.from_bytes(blob[:PREFIX_BYTES], "little")
        texts = json.loads(blob[PREFIX_BYTES : PREFIX_BYTES + length])["__metadata__"]
        old = json.loads(texts["metadata"]), arrays_of(blob)
        return Original(path.stem, blob, int(texts["format_version"]), old, read_model(path))


@cache
def originals() -> list[Original]:
    """Return one file of every kind of model."""
    return [Original.of(path) for path in sorted(FIXTURES.glob("*.brenier"))]


def altered(original: Original, rng: np.random.Generator) -> bytes:
    """Return an altered file: half of them have a right checksum."""
    if rng.integers(2):
        return altered_bytes(original.blob, rng)
    of_today = rng.integers(4) > 0
    metadata, arrays = original.new if of_today else original.old
    for _ in range(rng.integers(1, 3)):
        if rng.integers(3):
            metadata = altered_data(metadata, rng)
        else:
            arrays = _altered_arrays(arrays, rng)
    return sealed(metadata, arrays, FORMAT_VERSION if of_today else original.version)


def sealed(metadata: Any, arrays: Mapping[str, np.ndarray], version: int) -> bytes:
    """Return a file with this content and its checksum, whatever it is."""
    text = json.dumps(metadata)
    digest = hashlib.sha256()
    parts = [text.encode()]
    for name in sorted(arrays):
        array = arrays[name]
        parts += [name.encode(), array.dtype.str.encode(), str(array.shape).encode()]
        parts.append(array.tobytes())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    texts = {"format": "brenier", "format_version": str(version), "metadata": text}
    contiguous = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    return save(contiguous, metadata={**texts, "sha256": digest.hexdigest()})


def _altered_arrays(
    arrays: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    found, names = dict(arrays), sorted(arrays)
    name = names[rng.integers(len(names))]
    match rng.integers(8):
        case 0:
            del found[name]
        case 1:
            found[f"{name}.more"] = found[name]
        case 2:
            found[name] = found[names[rng.integers(len(names))]]
        case 3:
            # Nothing then tells that the densities are others.
            for one in [one for one in names if "probe" in one]:
                found[one] = found[one][:0]
        case _:
            found[name] = altered_array(found[name], rng)
    return found


def use(model: Any, path: Path) -> None:
    """Do with a model what one does with it."""
    repr(model)
    model.save(path)
    if isinstance(model, TriangularConvexPotentialFlow):
        model.score_samples(_named(model, model.sample(3, random_state=0)))
        _tell(model.reports_)
    elif isinstance(model, AbstractConditional):
        _use_given(model)
        _tell([model.report_])
    else:
        model.score_samples(_named(model, np.zeros((2, model.n_features_in_))))
        model.sample(3, random_state=0)
        _tell([model.report_])


def _use_given(model: Any) -> None:
    given = _named(model, np.zeros((2, model.n_features_in_)))
    targets = np.zeros((2, len(model.target_names_)))
    if isinstance(model, ConvexPotentialRegressor):
        model.log_density(given, targets[:, 0])
        model.predict(given)
    else:
        model.score_samples(given, targets)
    model.sample(given, 2, random_state=0)


def _tell(reports: Sequence[FitReport]) -> None:
    for report in reports:
        repr(report)
        str(report.verdict)
        report.to_dict()


def _named(model: Any, rows: np.ndarray) -> Any:
    names = getattr(model, "feature_names_in_", None)
    return rows if names is None else pl.from_numpy(np.ascontiguousarray(rows), list(names))


def _show(path: Path) -> None:
    """Print what the command `info` says, as text and as JSON."""
    for as_json in (False, True):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            info(str(path), json=as_json, debug=True)


def end_of(path: Path, again: Path) -> str:
    """Return how it ends to use a file: refused by `load`, or it works.

    Raises
    ------
    Exception
        Anything else: what is loaded must work, and `info` show it or refuse it.
    """
    with suppress(ModelFileError):
        _show(path)
    try:
        model = load(path)
    except ModelFileError:
        return "refused"
    try:
        _show(path)
        use(model, again)
    except ModelFileError as error:
        raise RuntimeError(f"It was loaded, and refused afterwards: {error}") from error
    return "worked"


def one(case: int, rng: np.random.Generator, folder: Path) -> str:
    """Alter a file, try to use it, and return how that ends."""
    files = originals()
    path = folder / "altered.brenier"
    path.write_bytes(altered(files[case // PART % len(files)], rng))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return end_of(path, folder / "again.brenier")
