"""A connection of the web process that is turned away, or not."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from collections.abc import Iterator

import pytest
from gevent import socket as cooperative

from settings.web_worker import Caller

LARGE = 1_500
"""A file number that select() cannot take: it knows 0 to 1,023."""


@pytest.fixture
def _room_for_large_numbers() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, LARGE + 1), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=["small", "large"])
def pair(
    request: pytest.FixtureRequest, _room_for_large_numbers: None
) -> Iterator[tuple[Caller, socket.socket]]:
    """The server's end of a connection, with a file number of either size, and the caller's."""
    ours, theirs = socket.socketpair()
    number = ours.detach()
    if request.param == "large":
        small, number = number, fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, LARGE)
        os.close(small)
    with Caller(fileno=number) as caller, theirs:
        caller.settimeout(2)
        yield caller, theirs


def test_who_has_sent_nothing_is_turned_away(pair: tuple[Caller, socket.socket]) -> None:
    caller, _ = pair
    caller.turn_away()
    assert caller.recv(100) == b""


def test_who_has_sent_something_that_is_not_read_yet_is_not_turned_away(
    pair: tuple[Caller, socket.socket],
) -> None:
    caller, theirs = pair
    theirs.sendall(b"POST / ")
    caller.turn_away()
    assert caller.recv(100) == b"POST / "
    theirs.sendall(b"HTTP/1.1")
    assert caller.recv(100) == b"HTTP/1.1", "the rest of the request is cut off"


def test_who_has_hung_up_is_no_error(pair: tuple[Caller, socket.socket]) -> None:
    caller, theirs = pair
    theirs.close()
    caller.turn_away()
    caller.close()
    caller.turn_away()


def test_a_request_has_begun_with_its_first_byte(pair: tuple[Caller, socket.socket]) -> None:
    caller, theirs = pair
    assert isinstance(caller, cooperative.socket)
    caller.idle = True
    theirs.sendall(b"P")
    caller.recv(100)
    assert not caller.idle
