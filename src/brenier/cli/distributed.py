"""Several processes that make one fit: how they begin and end."""

import hashlib
import platform
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from signal import SIGINT, SIGTERM, signal
from typing import TYPE_CHECKING, Any

import typer

from brenier.cli import options as o
from brenier.cli.door import ExitCode, door, note
from brenier.cli.files import STANDARD
from brenier.version import __version__

if TYPE_CHECKING:
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


def sharing_devices(asked: "o.Devices | None", processes: "Processes | None") -> Any:
    """Return the context in which fits share their rows over the devices that are asked for.

    Several processes share theirs.
    """
    from brenier.estimators.on_devices import devices

    if processes is None:
        return nullcontext() if asked is None else devices(asked.value)
    import jax

    from brenier.program.devices import SEGMENTS

    n = jax.device_count()
    if SEGMENTS % n:
        raise ValueError(
            f"Expected 1, 2, 4 or 8 devices in all processes together; got {n} in "
            f"{processes.place.count}. Start other processes, or as many with fewer devices each."
        )
    return devices(n)
