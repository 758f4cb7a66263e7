"""A worker of the web process that is killed while it writes a group of deliveries.

What was answered is stored. What was not may be stored or not: its sender sends it again, is then
answered, and it is stored once.
"""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.factories import event
from tests.service import Answer, Service, send
from tests.signals.gate import Gate, closed_gate
from tests.signals.one_process import one_process, wait_until_idle
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

ANSWERED = "answered"
UNDER_WAY = [f"under-way-{number}" for number in range(8)]
LEDGER = "SELECT webhook_id, message_id::text FROM app_delivery"
SESSIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'pillarbox web' AND state = 'active'
"""


def worker_of(service: Service) -> int:
    """The pid of the one worker."""
    server = service.processes["web"].pid
    [worker] = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return int(worker)


def deliver(service: Service, webhook_id: str) -> Answer:
    with closing(service.connection()) as connection:
        return send_it(service, connection, webhook_id)


def send_it(service: Service, connection: HTTPConnection, webhook_id: str) -> Answer:
    body = json.dumps(event(source_id=f"post of {webhook_id}")).encode()
    return send(connection, "POST", "/webhooks/posts/", body, service.signed(body, webhook_id))


@contextmanager
def under_way(service: Service) -> Iterator[None]:
    """Deliveries that are being sent. None of them is ever answered."""
    with ExitStack() as stack, ThreadPoolExecutor(len(UNDER_WAY)) as pool:
        sent = []
        for webhook_id in UNDER_WAY:
            connection = stack.enter_context(closing(service.connection()))
            # What the worker has not accepted yet would be left to the next one.
            send(connection, "GET", "/livez", b"", {})
            sent.append((connection, webhook_id))
        futures = [pool.submit(send_it, service, *each) for each in sent]
        yield
        for future in futures:
            assert isinstance(future.exception(20), OSError | HTTPException), future.result()


def expect_each_once(service: Service, stored_before: dict[str, str]) -> None:
    """Send all again: each is answered, as what it is stored as, and nothing is stored twice."""
    wait_until_idle(service, "web")
    answers = {webhook_id: deliver(service, webhook_id) for webhook_id in (ANSWERED, *UNDER_WAY)}
    assert {answer.status for answer in answers.values()} == {202}
    told = {webhook_id: answer.body["message_id"] for webhook_id, answer in answers.items()}
    assert dict(query(LEDGER)) == told == told | stored_before
    messages = query("SELECT id FROM outbox_message")
    assert sorted(messages) == sorted((uuid.UUID(each),) for each in told.values())
    assert query("SELECT count(*) FROM app_post") == [(len(told),)]


@contextmanager
def caught_in_a_group(folder: Path) -> Iterator[tuple[int, Gate]]:
    """A worker whose group waits at a gate; it is dead at the end, and another is in its place."""
    with one_process("web", folder, WEB_CONCURRENCY="1") as service:
        wait_until_idle(service, "web")
        answered = deliver(service, ANSWERED).body["message_id"]
        with closed_gate("app_delivery") as gate, under_way(service):
            gate.wait_for("web")
            yield worker_of(service), gate
        eventually(lambda: not query(SESSIONS))  # the server may still write, for nobody
        stored = dict(query(LEDGER))
        assert stored[ANSWERED] == answered
        expect_each_once(service, stored)


def test_a_worker_killed_before_the_commit_of_a_group_loses_nothing_that_it_answered(
    transactional_db: None, tmp_path: Path
) -> None:
    with caught_in_a_group(tmp_path) as (worker, _):
        os.kill(worker, signal.SIGKILL)


def test_a_worker_killed_between_the_commit_of_a_group_and_its_answers_loses_nothing(
    transactional_db: None, tmp_path: Path
) -> None:
    with caught_in_a_group(tmp_path) as (worker, gate):
        os.kill(worker, signal.SIGSTOP)
        gate.open()
        eventually(lambda: len(query(LEDGER)) > 1)  # committed, and the worker does not know
        os.kill(worker, signal.SIGKILL)
