"""Many callers who send a byte a second, and some who behave."""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.factories import event
from tests.service import Service
from tests.settings.raw import POST, only, replies
from tests.signals.one_process import one_process, wait_until_idle
from tests.sql import query

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

DRIPPING, HONEST = 500, 200
HEAD_SECONDS, BODY_SECONDS = 4, 6
OFF_SECONDS = 2.0
BEGUN = {
    HEAD_SECONDS: POST + b"X-Slow: ",
    BODY_SECONDS: POST + b"Content-Length: 1000\r\n\r\n",
}
STATUS = {HEAD_SECONDS: 408, BODY_SECONDS: 400}


@dataclass(slots=True)
class Drip:
    """A caller who has begun a request, and has so many seconds for it."""

    connection: socket.socket
    seconds: int
    began: float
    answer: bytes = b""
    ended: float = 0.0

    def read(self) -> bool:
        """Read what has come. Return whether more may come."""
        data = self.connection.recv(65_536)
        self.answer += data
        if not data:
            self.ended = time.monotonic()
        return bool(data)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Service]:
    given = {"WEB_BODY_SECONDS": str(BODY_SECONDS)}
    with one_process("web", tmp_path, "--keep-alive", str(HEAD_SECONDS), **given) as service:
        wait_until_idle(service, "web")
        yield service


def begin(service: Service, number: int) -> Drip:
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=8)
    seconds = (HEAD_SECONDS, BODY_SECONDS)[number % 2]
    connection.sendall(BEGUN[seconds])
    return Drip(connection, seconds, time.monotonic())


def drip(drips: list[Drip], deadline: float) -> None:
    """Send a byte a second on each connection until its end."""
    with selectors.DefaultSelector() as open_:
        for each in drips:
            open_.register(each.connection, selectors.EVENT_READ, each)
        byte_at = time.monotonic() + 1
        while (left := open_.get_map()) and time.monotonic() < deadline:
            for key, _ in open_.select(max(0.0, byte_at - time.monotonic())):
                if not key.data.read():
                    open_.unregister(key.fileobj)
            if time.monotonic() >= byte_at:
                for key in list(left.values()):
                    key.data.connection.sendall(b"x")
                byte_at += 1


def deliver(service: Service, number: int) -> tuple[int, float]:
    began = time.monotonic()
    status = service.deliver(event(source_id=str(number)), f"msg_{number}").status
    return status, time.monotonic() - began


def test_those_who_drip_are_cut_off_in_time_and_hold_up_nobody(web: Service) -> None:
    drips = [begin(web, number) for number in range(DRIPPING)]
    with ThreadPoolExecutor(4) as honest:
        answers = honest.map(lambda number: deliver(web, number), range(HONEST))
        drip(drips, deadline=time.monotonic() + BODY_SECONDS + 10)
        statuses, times = zip(*answers, strict=True)
    for each in drips:
        each.connection.close()

    assert Counter(statuses) == {202: HONEST}
    assert max(times) < OFF_SECONDS
    assert query("SELECT count(*) FROM app_delivery") == [(HONEST,)]
    for each in drips:
        assert abs(each.ended - each.began - each.seconds) <= OFF_SECONDS, each
        reply = only(replies(each.answer))
        assert reply.problem()["status"] == STATUS[each.seconds]
        assert reply.closes
