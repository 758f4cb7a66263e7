"""The real web process while each connection that it may have waits for somebody else."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest

from tests.service import Answer, Service, database_url
from tests.signals.one_process import one_process, wait_until_idle
from tests.sql import count
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CONNECTIONS, TIMEOUT_SECONDS, CALLERS = 2, 1, 12
# More than the process gives a request: who has a connection keeps it until the test lets go.
LONG = "-c lock_timeout=40s -c statement_timeout=40s"


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[Service]:
    """The web process with few connections, and little patience for one of them."""
    own = {
        "DATABASE_URL": f"{database_url('default')}?options={quote(LONG)}",
        "DATABASE_POOL_SIZE": str(CONNECTIONS),
        "DATABASE_POOL_TIMEOUT": str(TIMEOUT_SECONDS),
        "WEB_CONCURRENCY": "1",
    }
    with one_process("web", tmp_path, **own) as service:
        wait_until_idle(service, "web")
        yield service


@contextmanager
def messages_locked() -> Iterator[None]:
    holder = psycopg2.connect(database_url("default"))
    try:
        holder.cursor().execute("LOCK TABLE outbox_message")
        yield
    finally:
        holder.close()


def held_up() -> int:
    """How many requests have a connection, and wait for the table."""
    return count(
        "pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'outbox_message'::regclass"
        " AND NOT granted AND position('AS waiting' IN query) = 0"
    )


def look(web: Service) -> tuple[Answer, float]:
    """Ask for a message, with a connection of the pool."""
    began = time.monotonic()
    return web.ask("GET", f"/messages/{uuid.uuid4()}/"), time.monotonic() - began


def test_who_finds_no_connection_is_told_so_in_time_and_the_next_gets_in(web: Service) -> None:
    with ThreadPoolExecutor(CONNECTIONS + CALLERS) as pool:
        with messages_locked():
            holders = [pool.submit(look, web) for _ in range(CONNECTIONS)]
            eventually(lambda: held_up() == CONNECTIONS, 20)
            callers = [pool.submit(look, web) for _ in range(CALLERS)]
            answers = [caller.result(timeout=30) for caller in callers]
            assert held_up() == CONNECTIONS  # still: and no further one was opened
            assert web.ask("GET", "/livez").status == 200
        for answer, took in answers:
            assert answer.status == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) >= 1
            assert took < TIMEOUT_SECONDS + 3
        served = [*holders, *(pool.submit(look, web) for _ in range(CALLERS))]
        assert {each.result(timeout=30)[0].status for each in served} == {404}
    assert "All 2 connections of the pool 'default' were in use" in web.processes["web"].output()
