"""Checkpoints: fits that go on after their process was killed, to the same model.

All that a fit takes long for are the evaluations of its runs. A checkpoint keeps each of them, as
soon as it is made, in a file that is only added to (`brenier.io.journal`). A fit of the same table
with the same settings then goes on from there by being made once more: each run is told what it has
evaluated already (`brenier.varpro.memory`), takes the same steps, and computes only what comes
after. So its model is the one that it would have been.

A run is known by what it is made of, all numbers included. On another machine or with other
libraries, where these differ in their last digits, a run begins anew; it never goes on from what is
not its own.
"""

import hashlib
import warnings
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from os import PathLike, fspath
from threading import Lock
from typing import Any

import numpy as np

from brenier.io.journal import Entry, Journal
from brenier.status import InputWarning
from brenier.varpro.memory import AbstractMemory, Values
from brenier.version import __version__

# What an entry says of itself: which fit it begins; or of which run it is, the how manieth, what
# was evaluated and at which point.
FIT, RUN, NUMBER, WHAT, AT = "fit", "run", "number", "what", "at"


class Checkpoint:
    """A file in which fits within its context keep what they need to go on.

    ::

        with Checkpoint("flow.checkpoint"):
            flow = ConvexPotentialFlow().fit(X)

    Where the process dies, run the same again: the fit goes on from where it was, and its model is
    the same. Several fits, one after the other, may share a file. What a fit writes is some tens of
    megabytes at most; when all is done the file may be removed. A limit of seconds counts anew each
    time.

    Parameters
    ----------
    path : str or path
        The file; made where there is none.
    open_file : callable, optional
        What opens it, and returns what is written to, if this process writes, and what is there.

    Raises
    ------
    JournalError
        On entering, if there is another file, a checkpoint of another version of brenier, or one
        that another process writes. It is left as it is.
    OSError
        On entering, if it cannot be opened or written.
    ValueError
        From `fit`, if the table or the settings are others than the file's; the message names the
        difference.
    """

    def __init__(self, path: str | PathLike[str], open_file: "Opening | None" = None):
        self._path, self._open = fspath(path), opened if open_file is None else open_file
        self._journal: Journal | None = None
        self._token: Token[Checkpoint | None] | None = None
        self._past_fits: deque[Mapping[str, str]] = deque()
        self._past: dict[str, deque[Entry]] = {}
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def __enter__(self) -> "Checkpoint":
        self._journal, entries = self._open(self._path)
        fits = [entry.texts for entry in entries if FIT in entry.texts]
        self._past_fits = deque(fits)
        self._past = _by_run(entries)
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _CURRENT.reset(self._token)
        if self._journal is None:
            return
        self._journal.close()
        failure, self._journal = self._journal.failure, None
        if failure is not None:
            warnings.warn(
                f"The checkpoint {self._path} could not be written to the end: "
                f"{failure.strerror or failure}. A fit goes on from what is in it.",
                InputWarning,
                stacklevel=2,
            )

    @property
    def goes_on(self) -> bool:
        """Whether the file had something of a fit in it."""
        return bool(self._past)

    def begin_fit(self, about: Mapping[str, str]) -> None:
        """Note what the next fit is of, and with which settings.

        Raises
        ------
        ValueError
            If that of the file is of another table, or with other settings.
        """
        about = {FIT: "", **about}
        if not self._past_fits:
            self._add(Entry(about, {}))
            return
        past = self._past_fits[0]
        different = [
            f"{name} {past.get(name, 'none')}, not {about.get(name, 'none')}"
            for name in dict.fromkeys((*about, *past))
            if past.get(name) != about.get(name)
        ]
        if different:
            raise ValueError(
                f"Expected the table and the settings of the checkpoint {self._path}; it has "
                f"{'; '.join(different)}. Give the same, or name another file."
            )
        self._past_fits.popleft()

    def memory(self, key: str) -> "RunMemory":
        """Return the memory of the run with this key; of equal ones, each has its own."""
        with self._lock:
            self._seen[key] += 1
            run = f"{key}-{self._seen[key]}"
        return RunMemory(run, self._past.pop(run, deque()), self._add)

    def _add(self, entry: Entry) -> None:
        if self._journal is not None:
            self._journal.add(entry)


Opening = Callable[[str], tuple[Journal | None, list[Entry]]]


def opened(path: str) -> tuple[Journal | None, list[Entry]]:
    """Return the journal in a file, made where there is none, and what is in it."""
    return Journal.open(path, {"brenier": __version__})


_CURRENT: ContextVar[Checkpoint | None] = ContextVar("brenier_checkpoint", default=None)


def current_checkpoint() -> Checkpoint | None:
    """Return the checkpoint in whose context this is called; None without one."""
    return _CURRENT.get()


def _by_run(entries: list[Entry]) -> dict[str, deque[Entry]]:
    """Return every run's evaluations in their order.

    A run that was made otherwise at some point, has its later ones again behind the former.
    """
    runs: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if RUN in entry.texts:
            of_run, number = runs[entry.texts[RUN]], int(entry.texts[NUMBER])
            del of_run[number:]
            of_run.append(entry)
    return {run: deque(of_run) for run, of_run in runs.items()}


class RunMemory(AbstractMemory):
    """What one run evaluated, before its process died and since.

    Parameters
    ----------
    run : str
        What it is known by.
    past : deque of Entry
        What it evaluated before.
    add : callable
        What writes an entry.
    """

    def __init__(self, run: str, past: "deque[Entry]", add: Callable[[Entry], None]):
        self._run, self._past, self._add = run, past, add
        self._number = 0
        self._before_computing: list[Callable[[], None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to be recalled."""
        return not self._past

    def before_computing(self, function: Callable[[], None]) -> None:
        """Call a function once, before the first evaluation that is computed."""
        self._before_computing.append(function)

    def recall(self, what: str, at: np.ndarray) -> Values | None:
        """Return the next evaluation, if it is one of this kind at this point; else None."""
        if self._past:
            texts, values = self._past.popleft()
            if (texts[WHAT], texts[AT]) == (what, digest(at)):
                self._number += 1
                return values
            # Here the run is another: what comes after is not its own.
            self._past.clear()
        while self._before_computing:
            self._before_computing.pop()()
        return None

    def keep(self, what: str, at: np.ndarray, values: Values) -> None:
        """Write an evaluation."""
        texts = {RUN: self._run, NUMBER: str(self._number), WHAT: what, AT: digest(at)}
        self._add(Entry(texts, values))
        self._number += 1

    def number(self, what: str, at: np.ndarray, compute: Callable[[], float]) -> float:
        """Return a number, recalled or else computed and kept."""
        known = self.recall(what, at)
        if known is not None:
            return float(known["value"])
        value = compute()
        self.keep(what, at, {"value": np.array(value)})
        return value


def digest(*parts: Any) -> str:
    """Return what arrays and texts are known by."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            found.update(part.encode())
            continue
        array = np.asarray(part, order="C")
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
