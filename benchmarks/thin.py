"""Thin shapes: rows close to a curved surface, or to a plane of few dimensions.

Their generators are not part of the project: they are read from `../shared/cases/make.py`.
"""

from importlib.util import module_from_spec, spec_from_file_location
from types import MappingProxyType, ModuleType

from benchmarks import data

# The seed of the generator for a split's seed 0: the generator's own default.
FIRST_SEED = MappingProxyType({"lagged": 21, "rates": 22})
N_VALID = 250


def present() -> bool:
    """Return whether the generators are here."""
    return data.CASES.is_file()


def rows(name: str, seed: int) -> data.Split:
    """Return 500 rows to train on, 250 to choose by, and all others to test.

    Every column is standardised by the mean and the standard deviation of the training rows.
    """
    train, fresh, *_ = getattr(_generators(), name)(FIRST_SEED[name] + seed)
    mean, sd = train.mean(axis=0), train.std(axis=0)
    train, fresh = (train - mean) / sd, (fresh - mean) / sd
    return data.Split(train, fresh[:N_VALID], fresh[N_VALID:])


def _generators() -> ModuleType:
    """Load the file that they are in."""
    spec = spec_from_file_location("cases", data.CASES)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"Expected a Python file at {data.CASES}; got none.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
