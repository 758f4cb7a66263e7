"""Processes that die and processes that are told to stop, on real parts."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
from django.db import connection

from deploy.devstack.process import Process
from tests.factories import event
from tests.service import Service, running
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

ON_FILES = os.environ.get("CELERY_BROKER_URL", "").startswith("filesystem")
NAMES = ("web", "postprocess", "relay", "worker")
# Each process works on one state; whoever waits for it to be seen kills with work in hand.
IN_HAND = {"postprocess": "pending", "relay": "ready", "worker": "dispatched"}


def query(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def kill(process: Process) -> None:
    process.send(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


class Senders:
    """Senders of numbered deliveries, who try each again until they have an answer."""

    RETRY_SECONDS = 0.2
    PATIENCE_SECONDS = 40.0

    def __init__(self, service: Service, number: int, *, threads: int, pause: float) -> None:
        self.accepted: dict[str, str] = {}
        self.unanswered = 0
        self.failures: list[str] = []
        self._service = service
        self._pause = pause
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(range(first, number, threads),))
            for first in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def at_work(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _send(self, numbers: range) -> None:
        for number in numbers:
            if self._over.wait(self._pause):
                return
            try:
                self._deliver(number)
            except Exception as error:  # noqa: BLE001 - the test's own thread raises it
                self.failures.append(f"delivery {number}: {error!r}")
                return

    def _deliver(self, number: int) -> None:
        content = event(
            source_id=f"post-{number}", title=f"Title {number}", tags=["common", f"tag{number}"]
        )
        webhook_id = f"msg_{number}"
        end = time.monotonic() + self.PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                answer = self._service.deliver(content, webhook_id)
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
            else:
                if answer.status == 202:
                    self.accepted[webhook_id] = answer.body["message_id"]
                    return
                assert answer.status == 503, answer
            if self._over.wait(self.RETRY_SECONDS):
                return
        raise AssertionError("no answer")


def catch_with_work(name: str, senders: Senders) -> None:
    """Wait until there is work in the state that a process works on, or no more to come."""
    state = IN_HAND.get(name)
    seen = "SELECT EXISTS (SELECT FROM outbox_message WHERE state = %s)"
    eventually(lambda: state is None or query(seen, state)[0][0] or not senders.at_work(), 30)


@pytest.mark.slow
def test_whatever_is_killed_every_accepted_delivery_is_done_exactly_once(
    transactional_db: None, tmp_path: Path
) -> None:
    kills, lease, redispatch = 12, 4, 4
    # On files a worker takes four messages a second, and copies of what waits would pile up.
    number, pause = (45, 0.9) if ON_FILES else (150, 0.24)
    environment = {
        "OUTBOX_LEASE_SECONDS": str(lease),
        "OUTBOX_REDISPATCH_SECONDS": str(redispatch),
        "OUTBOX_PUBLISH_SECONDS": "2",
    }
    with (
        running(tmp_path, **environment) as service,
        Senders(service, number, threads=3, pause=pause) as senders,
    ):
        for turn in range(kills):
            name = NAMES[turn % len(NAMES)]
            accepted = (turn + 1) * number // (kills + 1)
            eventually(
                lambda least=accepted: len(senders.accepted) >= least or senders.failures, 40
            )
            catch_with_work(name, senders)
            kill(service.processes[name])
            service.processes[name].start()
        deadline = time.monotonic() + lease + redispatch + 10

        eventually(lambda: not senders.at_work(), 30)
        assert senders.failures == []
        assert len(senders.accepted) == number
        left = "SELECT state, attempts, sends, suspect, last_error FROM outbox_message"
        with suppress(AssertionError):
            eventually(lambda: not query(left), max(0.0, deadline - time.monotonic()))
        assert query(left) == []
        expect_all_done(senders.accepted)
        assert senders.unanswered > 0  # the web server was down meanwhile


def expect_all_done(accepted: dict[str, str]) -> None:
    """Deliveries, history and Posts, by SQL: each of what was accepted once, and nothing else."""
    messages = {webhook_id: uuid.UUID(given) for webhook_id, given in accepted.items()}
    assert dict(query("SELECT webhook_id, message_id FROM app_delivery")) == messages
    assert sorted(query("SELECT id FROM outbox_history")) == sorted(
        (message_id,) for message_id in messages.values()
    )
    posts = query("""
        SELECT p.source_id, p.title, p.body, p.source_event,
               array(SELECT name FROM app_category AS c JOIN app_post_categories AS l
                     ON l.category_id = c.id WHERE l.post_id = p.id),
               array(SELECT name FROM app_tag AS t JOIN app_post_tags AS l
                     ON l.tag_id = t.id WHERE l.post_id = p.id ORDER BY name),
               p.search_vector @@ plainto_tsquery('simple',
                   p.title || ' body news common tag' || ltrim(p.source_id, 'post-'))
        FROM app_post AS p
    """)
    numbers = [webhook_id.removeprefix("msg_") for webhook_id in accepted]
    assert sorted(posts) == sorted(
        (f"post-{n}", f"Title {n}", "A body.", f"msg_{n}", ["news"], ["common", f"tag{n}"], True)
        for n in numbers
    )


@pytest.mark.slow
def test_what_a_killed_relay_had_claimed_is_sent_by_another_once_its_lease_has_run_out(
    transactional_db: None, tmp_path: Path
) -> None:
    lease = 4
    environment = {"OUTBOX_LEASE_SECONDS": str(lease), "OUTBOX_PUBLISH_SECONDS": "2"}
    with running(tmp_path, **environment) as service, socket.socket() as silent:
        relay = service.processes["relay"]
        kill(relay)
        # A broker that takes the connection and says nothing: the relay has claimed and waits.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}"
        doomed = Process(
            "doomed",
            relay.argv,
            log=tmp_path / "doomed.log",
            env={**(relay.env or {}), "CELERY_BROKER_URL": url},
            cwd=relay.cwd,
        )
        doomed.start()
        try:
            message_id = service.deliver(event()).body["message_id"]
            claimed = "SELECT lease_token, due_at FROM outbox_message WHERE state = 'ready' AND "
            [[token, lease_end]] = eventually(lambda: query(claimed + "lease_token IS NOT NULL"))
            kill(doomed)
        finally:
            doomed.stop(5)
        assert query(claimed + "lease_token = %s", token) == [(token, lease_end)]

        relay.start()
        done = "SELECT id, sends, attempts, dispatched_at >= %s FROM outbox_history"
        assert eventually(lambda: query(done, lease_end), lease + 10) == [
            (uuid.UUID(message_id), 2, 1, True)
        ]


def test_each_process_ends_by_itself_when_it_is_told_to_stop(
    transactional_db: None, tmp_path: Path
) -> None:
    with running(tmp_path) as service:
        service.deliver(event())
        eventually(lambda: query("SELECT FROM outbox_history"), 20)  # so each of them is at work

        for process in service.processes.values():
            process.send(signal.SIGTERM)
        # Celery looks up from its polling of files every few seconds only.
        end = time.monotonic() + (10 if ON_FILES else 5)
        for name, process in service.processes.items():
            code = process.wait(max(0.01, end - time.monotonic()))
            assert (name, code) == (name, 0), process.complaint("did not end well")
