"""The real web process while its database is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.factories import event
from tests.relay.tcp_proxy import TcpProxy
from tests.service import Answer, Service, database_url
from tests.signals.one_process import one_process, wait_until_idle
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CLOSED_SECONDS = 15.0
"""Generous: a busy machine counts too. The door itself needs a second or six."""


@pytest.fixture
def proxy(db: None) -> Iterator[TcpProxy]:
    given = urlsplit(database_url("default"))
    with TcpProxy((given.hostname or "127.0.0.1", given.port or 5432)) as proxy:
        yield proxy


@pytest.fixture
def web(proxy: TcpProxy, tmp_path: Path) -> Iterator[Service]:
    """The web process, with one worker and a proxy between it and the database."""
    given = urlsplit(database_url("default"))
    place = f"{given.username}:{given.password}@127.0.0.1:{proxy.port}"
    url = given._replace(netloc=place).geturl()
    with one_process("web", tmp_path, DATABASE_URL=url, WEB_CONCURRENCY="1") as service:
        wait_until_idle(service, "web")
        yield service


def admission(web: Service) -> str:
    word: str = web.ask("GET", "/readyz").body["checks"]["admission"]
    return word


def assert_refused_at_once(web: Service) -> None:
    """By what is known: whoever asked the database would wait for it, or for its connection."""
    began = time.monotonic()
    for _ in range(20):
        answer = web.deliver(event())
        assert answer.status == 503
        assert answer.body["type"] == "urn:problem-type:pillarbox:database-away"
        assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - began < 4


def test_a_port_that_refuses_is_told_at_once_and_forgotten_at_once(
    web: Service, proxy: TcpProxy
) -> None:
    assert web.deliver(event()).status == 202
    proxy.refuse()
    assert_refused_at_once(web)
    eventually(lambda: admission(web) == "database", CLOSED_SECONDS)
    assert_refused_at_once(web)
    proxy.listen()
    eventually(lambda: web.deliver(event()).status == 202, CLOSED_SECONDS)
    assert admission(web) == "ok"


@pytest.mark.slow
def test_a_server_that_is_frozen_holds_up_nobody_for_good(web: Service, proxy: TcpProxy) -> None:
    assert web.deliver(event()).status == 202
    proxy.freeze()
    early: list[Answer] = []
    callers = [
        threading.Thread(target=lambda: early.append(web.deliver(event()))) for _ in range(15)
    ]
    for caller in callers:
        caller.start()
    eventually(lambda: admission(web) == "database", CLOSED_SECONDS)
    assert_refused_at_once(web)
    for caller in callers:
        caller.join(20)  # the client's own patience
    assert {answer.status for answer in early} == {503}
    assert len(early) == len(callers)
    proxy.thaw()
    eventually(lambda: web.deliver(event()).status == 202, CLOSED_SECONDS)
