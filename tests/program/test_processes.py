"""Processes find each other, or say why not."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from brenier.program.processes import Place, join

# Where a process waits for what never comes (seconds).
SHORT = 0.5


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def joined(*others, asked=None, count=2, seconds=5.0):
    """Return what process 0 and others end with: their peers, or what they say."""
    port, asked = free_port(), {} if asked is None else asked

    def outcome(number, of=count):
        try:
            found = join(Place("127.0.0.1", port, number, of), asked.get(number, {}), seconds)
        except ValueError as error:
            return str(error)
        for peer in found.peers.values():
            peer.close()
        return sorted(found.peers), found.service

    with ThreadPoolExecutor() as pool:
        made = [pool.submit(outcome, 0), *(pool.submit(outcome, *other) for other in others)]
        return [one.result() for one in made]


def test_all_have_a_connection_to_process_0_and_know_where_the_service_is():
    first, *others = joined((1,), (2,), (3,), count=4)
    assert first[0] == [1, 2, 3]
    assert others == [([0], first[1])] * 3


@pytest.mark.parametrize(
    ("others", "settings", "message"),
    [
        ([(1,)], {"asked": {1: {"--seed": "3"}}}, "got --seed 3 of process 1, and None of process"),
        ([(1, 4)], {}, "the same --num-processes of all; got 2 of process 0 and 4 of process 1"),
        ([(1,), (1,)], {"count": 3}, "one process with each id; got two with 1"),
    ],
)
def test_processes_that_do_not_belong_together_all_say_so(others, settings, message):
    for said in joined(*others, **settings):
        assert message in said


def test_processes_that_do_not_come_are_named():
    said = joined((2,), count=4, seconds=SHORT)
    assert len(set(said)) == 1
    assert "got none with the ids 1, 3 in time" in said[0]


def test_process_0_that_does_not_answer_is_waited_for_no_longer_than_so_long():
    port = free_port()
    with pytest.raises(ValueError, match=rf"process 0 at 127.0.0.1:{port}; got no answer in time"):
        join(Place("127.0.0.1", port, 1, 2), {}, SHORT)


def test_a_port_in_use_is_named():
    with (
        socket.create_server(("", 0)) as listener,
        pytest.raises(ValueError, match="Expected a free port .* Give another one"),
    ):
        join(Place("127.0.0.1", listener.getsockname()[1], 0, 2), {}, SHORT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, None, None), "--coordinator HOST:PORT, --process-id and --num-processes"),
        (("here", 0, 2), "HOST:PORT; got 'here'"),
        (("here:0", 0, 2), "HOST:PORT; got 'here:0'"),
        (("here:80", 2, 2), "from 0 to 1, .*got 2"),
    ],
)
def test_a_place_that_is_none_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Place.of(*given)


def test_slurm_says_which_process_this_is(monkeypatch):
    said = {"JOB_ID": "77", "STEP_NODELIST": "node[003-005],x", "NTASKS": "4", "PROCID": "2"}
    said |= {"LOCALID": "1", "STEP_NUM_NODES": "4"}
    for name, value in said.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    place = Place.of(None, None, None)
    assert (place.host, place.number, place.count, place.local_devices) == ("node003", 2, 4, [1])
    # What is given goes before.
    assert Place.of("here:80", 0, 2).port == 80


def test_open_mpi_says_which_process_this_is(monkeypatch):
    uri = "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911"
    said = {"MCA_orte_hnp_uri": uri, "COMM_WORLD_SIZE": "2", "COMM_WORLD_RANK": "1"}
    for name, value in (said | {"COMM_WORLD_LOCAL_RANK": "0"}).items():
        monkeypatch.setenv(f"OMPI_{name}", value)
    place = Place.of(None, None, None)
    assert (place.host, place.number, place.count) == ("10.96.0.1", 1, 2)
