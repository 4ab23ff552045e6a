"""Several processes that make one fit: how they begin and end, and what each of them reads."""

import hashlib
import platform
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from signal import SIGINT, SIGTERM, signal
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli.door import ExitCode, door, note
from brenier.cli.files import STANDARD, Reading
from brenier.version import __version__

if TYPE_CHECKING:
    from brenier.io.folder import Parts
    from brenier.io.table import Table
    from brenier.program.processes import Processes

# Options that processes may have each of their own.
OWN = {"coordinator", "process_id", "num_processes", "output", "quiet", "json", "debug"}
# Optimizers that take rows from anywhere in the table.
WITHOUT = ("adam", "adam-varpro", "adam-lbfgs-varpro")


@dataclass(frozen=True)
class Asked:
    """What options say of the processes of a fit.

    Attributes
    ----------
    distributed : bool
        Whether there are several.
    coordinator, process_id, num_processes : str, int, int, or None
        Where process 0 is, which one this is, and how many there are.
    """

    distributed: bool
    coordinator: str | None
    process_id: int | None
    num_processes: int | None

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Refuse options that do not go together."""
        own = {
            "--coordinator": self.coordinator,
            "--process-id": self.process_id,
            "--num-processes": self.num_processes,
        }
        given = [option for option, value in own.items() if value is not None]
        if not self.distributed:
            if given:
                raise typer.BadParameter(f"{given[0]} goes with --distributed only.")
            return
        if given and len(given) < len(own):
            raise typer.BadParameter(f"{' and '.join(own)} go together: give all of them, or none.")
        optimizer = getattr(parameters["optimizer"], "value", None)
        others = {"--max-seconds": parameters["max_seconds"] is not None}
        others |= {"--devices": parameters["devices"] is not None}
        others |= {f"--optimizer {optimizer}": optimizer in WITHOUT}
        others |= {"several files": len(parameters["data"]) > 1}
        others |= {"standard input": STANDARD in (*parameters["data"], parameters["validation"])}
        wrong = [option for option, is_asked in others.items() if is_asked]
        if wrong:
            raise typer.BadParameter(f"--distributed does not go with {' or '.join(wrong)}.")


@contextmanager
def joined(
    asked: Asked, parameters: Mapping[str, Any], *, debug: bool
) -> "Iterator[Processes | None]":
    """Yield the processes of a fit, once all are there; None where there is only this one.

    All end together: where one ends early, so do the others, and say so.
    """
    if not asked.distributed:
        yield None
        return
    with door(debug=debug):
        from brenier.program.processes import Place, join, native_output_dropped

        place = Place.of(asked.coordinator, asked.process_id, asked.num_processes)
        processes = join(place, _alike(parameters))
    # What JAX says where a process is gone is a page of addresses.
    with native_output_dropped(["stdout"] if debug else ["stdout", "stderr"]):
        code = 1
        try:
            processes.begin()
            for number in (SIGINT, SIGTERM):
                signal(number, lambda which, _: _interrupted(processes, which))
            yield processes
        except typer.Exit as ended:
            code = ended.exit_code
        except BaseException:  # noqa: BLE001 - the process ends here, whatever it was
            traceback.print_exc()
        if code:
            processes.fail(code)
        processes.leave()


def _interrupted(processes: "Processes", number: int) -> None:
    terminated = number == SIGTERM
    what = "Terminated" if terminated else "Interrupted"
    note(f"{what}: processes that fit together leave no model then.")
    processes.fail(ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED)


def _alike(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what all processes must have in common, by what it is called."""
    import jax

    from brenier.program.key import processor

    options = {
        f"--{name.replace('_', '-')}" if name != "data" else "DATA": str(value)
        for name, value in parameters.items()
        if name not in OWN
    }
    # Numbers are to be the same to the last bit, or processes part.
    kind = hashlib.sha256(processor().encode()).hexdigest()[:8]
    machine = f"{platform.system()} {platform.machine()} {kind}"
    return options | {"brenier": __version__, "jax": jax.__version__, "the processor": machine}


def share_devices(processes: "Processes") -> Any:
    """Return the context in which fits share their rows over all processes' devices."""
    import jax

    from brenier.estimators.on_devices import devices
    from brenier.program.devices import SEGMENTS

    n = jax.device_count()
    if SEGMENTS % n:
        raise ValueError(
            f"Expected 1, 2, 4 or 8 devices in all processes together; got {n} in "
            f"{processes.place.count}. Start other processes, or as many with fewer devices each."
        )
    return devices(n)


def sharing(reading: Reading, processes: "Processes") -> Reading:
    """Return how tables are read of which each process reads its own row groups."""

    def table(parts_of: "Callable[[], Parts]") -> "Table":
        return _table_of_all(parts_of, processes)

    return replace(reading, rows_of=table)


def _table_of_all(parts_of: "Callable[[], Parts]", processes: "Processes") -> "Table":
    """Return the table that all processes have read a share of each."""
    from brenier.io.base import TableError
    from brenier.io.row_groups import row_groups, share_of
    from brenier.program.processes import agreed, rows_of_all, texts

    def own_share() -> "tuple[Parts, Any, str]":
        parts = parts_of()
        groups = row_groups(parts.files)
        share = share_of(groups, processes.place.number, processes.place.count, parts.where)
        seen = repr([groups, [(one.names, file.name) for one, file in _files(parts)]])
        return parts, share, hashlib.sha256(seen.encode()).hexdigest()

    parts, share, digest = agreed(own_share, TableError)
    other = [k for k, theirs in enumerate(texts(digest)) if theirs != digest]
    if other:
        raise TableError(
            f"Expected the same files in all processes; got others as {parts.where} in some of "
            "them. Put them where all processes see them."
        )
    own = agreed(lambda: parts.rows(share.first, share.n_rows), TableError)
    return parts.table(rows_of_all(own))


def _files(parts: "Parts") -> Any:
    return zip(parts.scanned, parts.files, strict=True)
