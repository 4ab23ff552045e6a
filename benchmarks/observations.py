"""Observations of a simulator, with draws of their exact posteriors: made here, or those of sbibm.

sbibm's are ten a task, each with 10,000 draws [1], and published figures are about these very
observations. They lie in its package as files, which are read without importing it: what it needs
to be imported is old and large. `pip install --no-deps sbibm==1.1.0` is enough.

References
----------
.. [1] J.-M. Lueckmann et al., "Benchmarking Simulation-Based Inference", AISTATS 2021,
       arXiv 2101.04653.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import ClassVar

import numpy as np
from examples.simulators import SIMULATORS

SBIBM, VERSION = "sbibm", "1.1.0"
INSTALL = f"pip install --no-deps {SBIBM}=={VERSION}"

# Published C2ST, as it was written, by task and number of simulations.
Figures = Mapping[tuple[str, int], str]


@dataclass(frozen=True)
class Observation:
    """Data x, (q,), and draws of the exact posterior given them, (N, n)."""

    x: np.ndarray
    exact: np.ndarray


class AbstractObservations(ABC):
    """Where observations come from.

    Attributes
    ----------
    name : str
        Of the file of results.
    title, description : str
        Of the section of the page of figures.
    published : mapping
        What others have published: the head of a column, and its figures.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    published: ClassVar[Mapping[str, Figures]]

    @abstractmethod
    def of(self, task: str) -> list[Observation]:
        """Return the observations of a task, always the same."""


@dataclass(frozen=True)
class Own(AbstractObservations):
    """Drawn once for each task, from the prior and the simulator; none is left out."""

    number: int = 10
    draws: int = 1000
    seed: int = 2021

    name: ClassVar[str] = "sbi"
    title: ClassVar[str] = "Posteriors from simulations"
    description: ClassVar[str] = (
        "Draws of p(theta | x) at ten observations, learnt from simulations, against as many of "
        "the exact posterior: the accuracy of a classifier (C2ST), 0.5 for a perfect posterior; "
        "mean and standard deviation over the observations. A cell without a figure was not "
        "measured; seconds are from a core shared with other jobs. The published figures are on "
        "other observations."
    )
    # NPE's mean C2ST in sbibm (Lueckmann et al. 2021).
    published: ClassVar[Mapping[str, Figures]] = {
        "NPE as published": {
            ("two_moons", 1000): "0.73",
            ("two_moons", 10_000): "0.61",
            ("slcp", 1000): "0.98",
            ("slcp", 10_000): "0.90",
        }
    }

    def of(self, task: str) -> list[Observation]:
        """Return the observations of a task, always the same."""
        simulator, generator = SIMULATORS[task], np.random.default_rng(self.seed)
        X = simulator.simulate(simulator.prior(self.number, generator), generator)
        return [Observation(x, simulator.posterior(x, self.draws, generator)) for x in X]


@dataclass(frozen=True)
class Official(AbstractObservations):
    """Those of sbibm, read from its files, with the first `draws` of its reference draws."""

    draws: int = 2000

    name: ClassVar[str] = "sbi_official"
    title: ClassVar[str] = "Posteriors from simulations, on the observations of sbibm"
    description: ClassVar[str] = (
        "The same on the ten observations of each task of sbibm 1.1, against the first 2000 of its "
        "own reference draws (`python -m benchmarks.sbi --observations official`; "
        f"`{INSTALL}` brings the files). C2ST is as sbibm defines it, but there 10,000 draws are "
        "compared. What others published is on these very observations, over simulations of their "
        "own: neural posterior estimation (NPE) by spline flows, ensembles of five of these, "
        "posteriors by TabPFN, likelihoods (NLE) with Markov chains, and a transformer of "
        "parameters and data together, trained on a GPU. Seconds are from a core shared with other "
        "jobs."
    )
    published: ClassVar[Mapping[str, Figures]] = {
        "NPE": {
            ("two_moons", 1000): "0.698",
            ("two_moons", 10_000): "0.554",
            ("slcp", 1000): "0.968",
            ("slcp", 10_000): "0.874",
        },
        "5 NPE": {
            ("two_moons", 1000): "0.675",
            ("two_moons", 10_000): "0.543",
            ("slcp", 1000): "0.965",
            ("slcp", 10_000): "0.851",
        },
        "TabPFN": {
            ("two_moons", 1000): "0.708",
            ("two_moons", 10_000): "0.630",
            ("slcp", 1000): "0.895",
            ("slcp", 10_000): "0.865",
        },
        "NLE": {
            ("two_moons", 1000): "0.685",
            ("two_moons", 10_000): "0.595",
            ("slcp", 1000): "0.904",
            ("slcp", 10_000): "0.761",
        },
        "transformer": {("two_moons", 10_000): "0.522", ("slcp", 10_000): "0.657"},
    }

    def of(self, task: str) -> list[Observation]:
        """Return the observations of a task, always the same.

        Raises
        ------
        ModuleNotFoundError
            If sbibm's files are not there; the message says how to get them.
        """
        folders = sorted((_files() / "tasks" / task / "files").glob("num_observation_*"))
        if not folders:
            raise ModuleNotFoundError(
                f"Expected files of observations of {task} in {SBIBM} {VERSION}; got none. "
                f"Install it anew: {INSTALL}"
            )
        folders.sort(key=lambda folder: int(folder.name.rpartition("_")[2]))
        return [self._read(folder) for folder in folders]

    def _read(self, folder: Path) -> Observation:
        exact = _numbers(folder / "reference_posterior_samples.csv.bz2")
        return Observation(_numbers(folder / "observation.csv")[0], exact[: self.draws])


def _files() -> Path:
    """Return the folder of the installed package, which is not imported."""
    try:
        found = distribution(SBIBM)
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"Expected the data files of {SBIBM}, which is not installed: {INSTALL}"
        ) from error
    return Path(str(found.locate_file(SBIBM)))


def _numbers(path: Path) -> np.ndarray:
    """Return the numbers of a CSV file with a head, (N, n)."""
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
