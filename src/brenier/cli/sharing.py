"""How several processes read one table: each its own row groups; all know what is kept of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np

    from brenier.io.folder import Parts
    from brenier.program.processes import Processes

Result = TypeVar("Result")


@dataclass(frozen=True)
class Sharing:
    """Processes that read together; each calls the same methods in the same order.

    Attributes
    ----------
    processes : Processes
        All of them, as one of them sees them.
    """

    processes: "Processes"

    @property
    def number(self) -> int:
        """Which process this is."""
        return self.processes.place.number

    def own_rows(self, parts_of: "Callable[[], Parts]") -> "tuple[Parts, range]":
        """Return files whose columns are compared, and which of their rows this process reads.

        Raises
        ------
        TableError
            In all processes, if files are amiss in one, if some see other files, or if there are
            more processes than row groups.
        """
        from brenier.io.base import TableError
        from brenier.io.row_groups import row_groups, share_of
        from brenier.program.processes import texts

        def own() -> "tuple[Parts, range, str]":
            parts = parts_of()
            groups = row_groups(parts.files)
            share = share_of(groups, self.number, self.processes.place.count, parts.where)
            columns = [
                (one.names, file.name) for one, file in zip(parts.scanned, parts.files, strict=True)
            ]
            digest = hashlib.sha256(repr([groups, columns]).encode()).hexdigest()
            return parts, range(share.first, share.first + share.n_rows), digest

        parts, rows, digest = self.agreed(own)
        if any(theirs != digest for theirs in texts(digest)):
            raise TableError(
                f"Expected the same files in all processes; got others as {parts.where} in some of "
                "them. Put them where all processes see them."
            )
        return parts, rows

    def agreed(self, function: Callable[[], Result]) -> Result:
        """Return what a function returns, once it has in all processes; else raise in all of them.

        Raises
        ------
        ValueError
            What the first process says in which it was raised.
        """
        from brenier.program.processes import agreed

        return agreed(function, ValueError)

    def rows(self, own: "np.ndarray") -> "np.ndarray":
        """Return the rows of all processes, in the order of these."""
        from brenier.program.processes import rows_of_all

        return rows_of_all(own)

    def objects(self, own: Any) -> list[Any]:
        """Return what every process has, of lists, texts and numbers."""
        import json

        from brenier.program.processes import texts

        return [json.loads(text) for text in texts(json.dumps(own))]


def sharing_of(processes: "Processes | None") -> Sharing | None:
    """Return how several processes read; None where there is only this one."""
    return None if processes is None else Sharing(processes)
