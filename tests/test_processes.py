"""Processes that die and processes that are told to stop, on real parts."""

from __future__ import annotations

import os
import signal
import socket
import time
import uuid
from pathlib import Path

import pytest

from deploy.devstack.process import Process
from tests.factories import event
from tests.service import kill, running
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

ON_FILES = os.environ.get("CELERY_BROKER_URL", "").startswith("filesystem")


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
        eventually(lambda: query("SELECT id FROM outbox_history"), 20)  # so each of them is at work

        for process in service.processes.values():
            process.send(signal.SIGTERM)
        # Celery looks up from its polling of files every few seconds only.
        end = time.monotonic() + (10 if ON_FILES else 5)
        for name, process in service.processes.items():
            code = process.wait(max(0.01, end - time.monotonic()))
            assert (name, code) == (name, 0), process.complaint("did not end well")
