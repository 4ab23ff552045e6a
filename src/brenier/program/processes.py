"""Processes that fit together: how they find each other, exchange arrays, and end together.

JAX makes one mesh of all processes' devices, and brings their arrays together. What it does not do
is to say in a sentence why it ends where a process is missing. So every process first holds a
connection to process 0, by which they agree that they were started alike; it is kept to the end.
Where one breaks before its process has said that it is done, every other process ends too.
"""

import faulthandler
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread, Timer
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np
from jax._src.clusters import ClusterEnv
from jax.experimental import multihost_utils
from jaxtyping import Float

from brenier.program.devices import peers_seen

# So long processes wait for each other when they begin (seconds).
JOIN_SECONDS = 60.0
# A process that has failed tells the others, which end by themselves for the same reason, or after
# so long (seconds).
GRACE = 5.0
# Between two tries to reach process 0 (seconds).
RETRY = 0.1
# A machine that is gone closes no connection: when it is asked whether it is there, how often, and
# how many answers may be missing (seconds, seconds, number).
KEEPALIVE = (30, 10, 3)
# Rows that are exchanged at once.
ROWS = 1 << 18
FAILED = 1

Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """Which process this is.

    Attributes
    ----------
    host, port : str, int
        Where process 0 waits for the others.
    number, count : int
        Which process this is, from 0, and of how many.
    local_devices : list of int or None
        The devices of this machine that are this process's; None for all.
    """

    host: str
    port: int
    number: int
    count: int
    local_devices: list[int] | None = None

    @staticmethod
    def of(coordinator: str | None, number: int | None, count: int | None) -> "Place":
        """Return what is given, and what the environment of Slurm or Open MPI says of the rest.

        Raises
        ------
        ValueError
            If that does not say which process this is, or where process 0 is.
        """
        # As `jax.distributed.initialize` finds it, which does not tell what it has found.
        coordinator, count, number, local = ClusterEnv.auto_detect_unset_distributed_params(
            coordinator, count, number, None, None, int(JOIN_SECONDS)
        )
        if coordinator is None or count is None or number is None:
            raise ValueError(
                "Expected --coordinator HOST:PORT, --process-id and --num-processes, or a process "
                "that Slurm or Open MPI has started; got neither. Give all three."
            )
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"Expected a coordinator HOST:PORT; got {coordinator!r}.")
        if not 0 <= number < count:
            raise ValueError(
                f"Expected a process id from 0 to {count - 1}, one less than the number of "
                f"processes; got {number}."
            )
        return Place(host, int(port), number, count, None if local is None else list(local))


@dataclass
class Processes:
    """All processes of a fit, as one of them sees them.

    Attributes
    ----------
    place : Place
        Which one this is.
    peers : dict of int to socket
        Connections: of process 0 to all others, of these to process 0.
    service : int
        The port that JAX's own service is at.
    done, gone : set of int
        Peers that have said that they are done, or have failed; those that have ended.
    """

    place: Place
    peers: dict[int, socket.socket]
    service: int
    done: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    _lock: Any = field(default_factory=Lock)
    _ending: Event = field(default_factory=Event)

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which writes the model."""
        return self.place.number == 0

    def begin(self) -> None:
        """Watch the others, and let JAX make one mesh of all devices."""
        Thread(target=self._watch, name="brenier-peers", daemon=True).start()
        # It would swallow SIGTERM.
        jax.config.update("jax_enable_preemption_service", val=False)
        jax.distributed.initialize(
            f"{self.place.host}:{self.service}",
            self.place.count,
            self.place.number,
            self.place.local_devices,
        )

    def leave(self) -> None:
        """Say that this process is done, and wait for the others."""
        self._tell({"done": True})
        jax.distributed.shutdown()

    def fail(self, code: int) -> NoReturn:
        """Say that this process has failed, and end it; process 0 after the others.

        JAX ends who has lost its service, which is process 0's, before it can say anything.
        """
        self._ending.set()
        self._tell({"failed": self.place.number})
        ends = time.monotonic() + 2.0 * GRACE
        while self.is_first and self.gone < set(self.peers) and time.monotonic() < ends:
            time.sleep(RETRY)
        _end(code)

    def _tell(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            for peer in self.peers.values():
                with suppress(OSError):
                    _send(peer, message)

    def _watch(self) -> None:
        """End the process where a peer is gone that has not said it is done."""
        with selectors.DefaultSelector() as selector:
            for number, peer in self.peers.items():
                selector.register(peer, selectors.EVENT_READ, number)
            while selector.get_map():
                for key, _ in selector.select():
                    message = _received(self.peers[key.data])
                    if message is None:
                        selector.unregister(key.fileobj)
                    self._hear(key.data, message)

    def _hear(self, number: int, message: Mapping[str, Any] | None) -> None:
        if message is None:
            self.gone.add(number)
            if number not in self.done and self.is_first:
                # It goes on to see when the others have ended.
                self._end_later(0.0, {"gone": number})
            elif number not in self.done:
                self._end_without({"gone": number})
        elif message.get("done"):
            self.done.add(number)
        elif "gone" in message:
            self._end_without(message)
        elif "failed" in message:
            self.done.add(number)
            # This one may have failed for the same reason, and say it meanwhile.
            self._end_later(GRACE, message)

    def _end_later(self, seconds: float, message: Mapping[str, Any]) -> None:
        later = Timer(seconds, self._end_without, [message])
        later.daemon = True
        later.start()

    def _end_without(self, message: Mapping[str, Any]) -> None:
        """End the process for want of another, unless it is ending; process 0 tells the others."""
        if self._ending.is_set():
            return
        if self.is_first:
            self._tell(message)
        why = "is gone" if "gone" in message else "has ended with an error"
        number = message.get("gone", message.get("failed"))
        text = (
            f"Error: process {number} of {self.place.count} {why} before the fit has ended: no "
            "model is written. Start all again.\n"
        )
        with suppress(OSError):
            os.write(sys.stderr.fileno(), text.encode())
        self.fail(FAILED)


def join(place: Place, asked: Mapping[str, str], seconds: float = JOIN_SECONDS) -> Processes:
    """Return all processes once they are there, and were asked for the same.

    Parameters
    ----------
    place : Place
        Which one this is.
    asked : mapping of str to str
        What all must have been asked for alike, by what messages call it.
    seconds : float
        How long they wait for each other.

    Raises
    ------
    ValueError
        If some are not there in time, or were asked for something else.
    """
    hello = {"process": place.number, "count": place.count, "asked": dict(asked)}
    ends = time.monotonic() + seconds
    return _received_all(place, hello, ends) if place.number == 0 else _arrive(place, hello, ends)


def _received_all(place: Place, hello: Mapping[str, Any], ends: float) -> Processes:
    """Return the processes that process 0 has waited for."""
    try:
        listener = socket.create_server(("", place.port), backlog=place.count)
    except OSError as error:
        raise ValueError(
            f"Expected a free port {place.port} on this machine; got {error.strerror}. Give "
            "another one with --coordinator."
        ) from error
    peers: dict[int, socket.socket] = {}
    come: list[socket.socket] = []
    wrong = ""
    with listener:
        while len(peers) < place.count - 1 and not wrong:
            listener.settimeout(max(ends - time.monotonic(), RETRY))
            try:
                come.append(_kept_alive(listener.accept()[0]))
            except TimeoutError:
                break
            come[-1].settimeout(JOIN_SECONDS)
            theirs = _received(come[-1]) or {}
            wrong = _difference(hello, theirs, peers)
            if not wrong:
                peers[theirs["process"]] = come[-1]
    missing = [k for k in range(1, place.count) if k not in peers]
    if missing and not wrong:
        wrong = (
            f"Expected {place.count} processes at {place.host}:{place.port}; got none with the ids "
            f"{', '.join(map(str, missing))} in time. Start all of them with --num-processes "
            f"{place.count}."
        )
    service = _free_port()
    for peer in come:
        with suppress(OSError):
            _send(peer, {"error": wrong} if wrong else {"service": service})
            peer.settimeout(None)
    if wrong:
        for peer in come:
            peer.close()
        raise ValueError(wrong)
    return Processes(place, peers, service)


def _difference(hello: Mapping[str, Any], theirs: Mapping[str, Any], peers: Any) -> str:
    """Return what is wrong with a process that has come; nothing where it was started alike."""
    number, count = theirs.get("process"), hello["count"]
    if number is None:
        return "Expected processes of brenier at the coordinator's port; got something else."
    if theirs["count"] != count:
        return (
            f"Expected the same --num-processes of all; got {count} of process 0 and "
            f"{theirs['count']} of process {number}."
        )
    if number in peers or number == 0:
        return f"Expected one process with each id; got two with {number}."
    ours, asked = hello["asked"], theirs["asked"]
    other = sorted(name for name in {*ours, *asked} if ours.get(name) != asked.get(name))
    if not other:
        return ""
    name = other[0]
    return (
        f"Expected all processes to be started alike; got {name} {asked.get(name)} of process "
        f"{number}, and {ours.get(name)} of process 0."
    )


def _arrive(place: Place, hello: Mapping[str, Any], ends: float) -> Processes:
    """Return the processes as one of them sees them that process 0 has waited for."""
    peer = _connected(place, ends)
    peer.settimeout(max(ends - time.monotonic(), 0.0) + JOIN_SECONDS)
    _send(peer, hello)
    answer = _received(peer) or {
        "error": f"Expected an answer of process 0 at {place.host}:{place.port}; got none. See "
        "what it says, and start all again."
    }
    if "error" in answer:
        peer.close()
        raise ValueError(answer["error"])
    peer.settimeout(None)
    return Processes(place, {0: peer}, answer["service"])


def _connected(place: Place, ends: float) -> socket.socket:
    while True:
        try:
            left = max(ends - time.monotonic(), RETRY)
            return _kept_alive(socket.create_connection((place.host, place.port), timeout=left))
        except OSError as error:
            if time.monotonic() >= ends:
                raise ValueError(
                    f"Expected process 0 at {place.host}:{place.port}; got no answer in time "
                    f"({error}). Start it, or correct --coordinator."
                ) from error
            time.sleep(RETRY)


def _kept_alive(peer: socket.socket) -> socket.socket:
    """Return a connection that breaks where the other machine is gone."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in zip(
        ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), KEEPALIVE, strict=True
    ):
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return peer


def _free_port() -> int:
    with socket.create_server(("", 0)) as listener:
        return listener.getsockname()[1]


def _send(peer: socket.socket, message: Mapping[str, Any]) -> None:
    peer.sendall(json.dumps(message).encode() + b"\n")


def _received(peer: socket.socket) -> dict[str, Any] | None:
    """Return the next message; None where there is none any more."""
    line = bytearray()
    try:
        while not line.endswith(b"\n"):
            byte = peer.recv(1)
            if not byte:
                return None
            line += byte
        message = json.loads(line)
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None


@contextmanager
def native_output_dropped(names: Sequence[str]) -> Iterator[None]:
    """Drop what libraries print meanwhile past Python, as Gloo and JAX's service do.

    Parameters
    ----------
    names : sequence of str
        On which streams: "stdout", "stderr".
    """
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(_apart(name))
        if "stderr" in names:
            # Where a library ends the process, at least that is said.
            faulthandler.enable(sys.stderr, all_threads=False)
            stack.callback(faulthandler.disable)
        yield


@contextmanager
def _apart(name: str) -> Iterator[None]:
    """Let Python's stream alone reach where its number leads."""
    stream = getattr(sys, name)
    stream.flush()
    number = stream.fileno()
    kept, nothing = os.dup(number), os.open(os.devnull, os.O_WRONLY)
    own = os.fdopen(kept, "w", encoding=stream.encoding, errors=stream.errors, closefd=False)
    own.reconfigure(line_buffering=True)
    setattr(sys, name, own)
    os.dup2(nothing, number)
    try:
        yield
    finally:
        own.flush()
        os.dup2(kept, number)
        setattr(sys, name, stream)
        for one in (kept, nothing):
            os.close(one)


def _end(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _of_all(own: np.ndarray) -> np.ndarray:
    """Return arrays of one shape of all processes, stacked."""
    with peers_seen():
        every = np.asarray(multihost_utils.process_allgather(own))
    # Of one process JAX returns its array as it is.
    return every.reshape(jax.process_count(), *own.shape)


def texts(own: str) -> list[str]:
    """Return a text of every process."""
    content = np.frombuffer(own.encode(), np.uint8)
    lengths = _of_all(np.array([len(content)], np.int32)).ravel()
    padded = np.zeros(max(int(lengths.max()), 1), np.uint8)
    padded[: len(content)] = content
    every = _of_all(padded)
    return [bytes(one[:n]).decode() for one, n in zip(every, lengths, strict=True)]


def bytes_of_first(own: bytes) -> bytes:
    """Return what process 0 has, in all of them."""
    with jax.enable_x64(True):
        lengths = multihost_utils.process_allgather(np.array([len(own)])).ravel()
    padded = np.zeros(max(int(lengths[0]), 1), np.uint8)
    padded[: len(own)] = np.frombuffer(own, np.uint8)
    first = multihost_utils.broadcast_one_to_all(padded)
    return np.asarray(first, np.uint8)[: int(lengths[0])].tobytes()


def agreed(function: Callable[[], Result], error: type[Exception]) -> Result:
    """Return what a function returns in this process, once it has returned in all of them.

    Raises
    ------
    Exception
        Of the kind `error`: what the first process says in which it was raised.
    """
    results, said = [], ""
    try:
        results.append(function())
    except error as raised:
        said = str(raised)
    wrong = next(filter(None, texts(said)), None)
    if wrong is not None:
        raise error(wrong)
    return results[0]


def rows_of_all(own: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "M n"]:
    """Return the rows of all processes, in the order of these."""
    with jax.enable_x64(True):
        lengths = _of_all(np.array([len(own)])).ravel()
        parts: list[list[np.ndarray]] = [[] for _ in lengths]
        for first in range(0, int(lengths.max()), ROWS):
            piece = np.zeros((min(ROWS, int(lengths.max()) - first), own.shape[1]))
            there = own[first : first + ROWS]
            piece[: len(there)] = there
            for part, n, theirs in zip(parts, lengths, _of_all(piece), strict=True):
                part.append(theirs[: max(n - first, 0)])
        return np.concatenate([piece for part in parts for piece in part])
