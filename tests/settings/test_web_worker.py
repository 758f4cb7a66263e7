"""A connection of the web process that is turned away, or not."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidChunkSize

from settings.caller import Caller
from settings.http_request import Parser
from settings.web_worker import PromptWorker

CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
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
    theirs.sendall(b"P")
    waiting = gevent.spawn(caller.begin, 5)
    gevent.sleep(0)
    assert waiting.get(timeout=5) == b"P"
    assert not caller.idle


def test_who_asks_nothing_is_idle_and_is_given_up(pair: tuple[Caller, socket.socket]) -> None:
    caller, _ = pair
    waiting = gevent.spawn(caller.begin, 0.1)
    gevent.sleep(0)
    assert caller.idle
    assert waiting.get(timeout=5) == b""
    assert not caller.idle


def test_who_does_not_read_its_answer_is_given_up(
    pair: tuple[Caller, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settings.caller.ANSWER_SECONDS", 0.1)
    caller, _ = pair
    caller.settimeout(None)
    with gevent.Timeout(5), pytest.raises(TimeoutError, match="does not read"):
        caller.sendall(b"x" * 10_000_000)


def test_an_answer_that_is_read_arrives_whole(pair: tuple[Caller, socket.socket]) -> None:
    caller, theirs = pair
    sent = bytes(range(256)) * 1_000
    theirs.settimeout(5)
    with ThreadPoolExecutor(1) as reader:
        received = reader.submit(theirs.makefile("rb").read, len(sent))
        caller.sendall(sent)
        assert received.result(5) == sent


def test_who_always_has_something_to_read_lets_the_others_have_their_turn(
    pair: tuple[Caller, socket.socket],
) -> None:
    caller, theirs = pair
    theirs.sendall(b"xx")
    turns: list[int] = []
    gevent.spawn(turns.append, 1)
    caller.recv(1)
    assert turns == [1]


def test_a_body_in_tiny_chunks_lets_the_others_have_their_turn(
    pair: tuple[Caller, socket.socket],
) -> None:
    caller, theirs = pair
    theirs.sendall(CHUNKED_HEAD + b"1\r\nx\r\n" * 8_000)  # all there, so that no read waits
    parser = Parser(Config(), caller, ("127.0.0.1", 1))
    assert parser.begins(5)
    body = next(parser).body
    turns = 0

    def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    waiting = gevent.spawn(other)
    assert body.read(7_900) == b"x" * 7_900
    waiting.kill()
    assert turns > 30


def test_a_body_that_failed_ends_the_connection_however_often_it_is_read(
    pair: tuple[Caller, socket.socket],
) -> None:
    caller, theirs = pair
    theirs.sendall(CHUNKED_HEAD + b"zz\r\n")
    parser = Parser(Config(), caller, ("127.0.0.1", 1))
    assert parser.begins(5)
    request = next(parser)
    with pytest.raises(InvalidChunkSize):
        request.body.read()
    assert request.body.read() == b""  # as if it had come to its end
    assert request.should_close()


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENOTCONN])
def test_a_connection_that_fails_is_the_end_of_it_and_no_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "the network")

    worker = PromptWorker.__new__(PromptWorker)  # without a server; with no log to tell a fault to
    monkeypatch.setattr(worker, "handle_request", fails, raising=False)
    with pytest.raises(OSError, match="the network"):
        worker._answer(None, None, None, None)
