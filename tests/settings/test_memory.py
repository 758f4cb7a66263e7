"""What a worker keeps of the bodies that were cut off."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import gevent
import pytest
from gevent import socket

from settings.body import BrokenBody, PromptReader
from settings.caller import Caller
from tests.service import Service
from tests.settings.raw import BODY_SECONDS, CHUNKED, POST, connect, only, replies, until_closed
from tests.signals.one_process import one_process, wait_until_idle

PART = b"x" * 500_000
UNENDED = (b"Content-Length: 1000000\r\n\r\n" + PART, CHUNKED + b"fffff\r\n" + PART)


@pytest.fixture
def web(db: None, tmp_path: Path) -> Iterator[Service]:
    own = {"WEB_BODY_SECONDS": str(BODY_SECONDS), "WEB_CONCURRENCY": "1"}
    with one_process("web", tmp_path, wsgi="tests.settings.without_collector", **own) as service:
        wait_until_idle(service, "web")
        yield service


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_bodies_that_were_cut_off_are_not_kept_until_the_garbage_is_collected(web: Service) -> None:
    with ExitStack() as open_:
        callers = [open_.enter_context(connect(web)) for _ in range(10)]
        for number, caller in enumerate(callers):
            caller.sendall(POST + UNENDED[number % 2])
        for caller in callers:
            assert only(replies(until_closed(caller))).status == 400
    held = web.ask("GET", "/held").body
    assert held["errors"] == 0
    assert held["bytes"] < len(PART)


class Silent:
    """A body that never comes."""

    def read(self, _size: int) -> bytes:
        gevent.sleep(10)
        return b""


def read_in_vain() -> weakref.ref[Silent]:
    reader = Silent()
    with suppress(BrokenBody):
        PromptReader(reader, 0.01).read(1)
    return weakref.ref(reader)


def send_in_vain() -> weakref.ref[Caller]:
    ours, theirs = socket.socketpair()
    with Caller(fileno=ours.detach()) as caller, theirs, suppress(TimeoutError):
        caller.sendall(b"x" * 10_000_000)
    return weakref.ref(caller)


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("try_it", [read_in_vain, send_in_vain])
def test_a_deadline_leaves_nothing_to_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch,
    try_it: Callable[[], weakref.ref[Silent] | weakref.ref[Caller]],
) -> None:
    monkeypatch.setattr("settings.caller.ANSWER_SECONDS", 0.01)
    kept = try_it()
    gevent.sleep(0)  # the hub goes on where it threw the deadline's error
    assert kept() is None
