"""brenier beside its peers: `python -m benchmarks.run`, from the repository's root.

Each fit has a process of its own, two cores, and the same rows. What was measured is in
FOLDER/SUITE.json, drawn in FOLDER/SUITE.png, and put into the documentation by
`python -m benchmarks.page`.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import accuracy, kernels, report, scaling
from benchmarks.peers import PEERS
from benchmarks.suites import SUITES


def suites(choice: accuracy.Choice) -> dict[str, Callable[[Path], None]]:
    """Return what measures each suite, given the folder for its results."""
    return {
        **{name: partial(accuracy.main_suite, suite, choice) for name, suite in SUITES.items()},
        "scaling": scaling.run,
        "kernels": kernels.run,
    }


def main() -> None:
    """Measure the suites that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", nargs="+", choices=list(suites(accuracy.Choice())))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=[])
    parser.add_argument("--seeds", type=int, help="how many (default: the suite's own number)")
    parser.add_argument("--only", nargs="+", default=[], metavar="DATA", help="only these data")
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS, metavar="FOLDER")
    arguments = parser.parse_args()
    choice = accuracy.Choice(tuple(arguments.peers), arguments.seeds, tuple(arguments.only))
    table = suites(choice)
    report.say(" ".join(f"{key}={value}" for key, value in report.machine().items()))
    for name in arguments.suite or table:
        table[name](arguments.output)


if __name__ == "__main__":
    main()
