"""A signal to the web process while a delivery is under way."""

from __future__ import annotations

import signal
import socket
import threading
import uuid
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.factories import event
from tests.service import Service
from tests.signals.gate import closed_gate
from tests.signals.one_process import one_process, wait_until_idle
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


class Sender:
    """Sends one delivery from a thread of its own."""

    def __init__(self, service: Service) -> None:
        self.answer: Any = None
        self._thread = threading.Thread(target=self._send, args=(service,))
        self._thread.start()

    def _send(self, service: Service) -> None:
        try:
            self.answer = service.deliver(event(), "msg_1")
        except (OSError, HTTPException) as error:
            self.answer = error

    def wait(self) -> Any:
        self._thread.join(20)
        return self.answer


def refuses(service: Service) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it was still waiting to be accepted when the socket was closed
    return False


def test_a_request_in_flight_is_answered_and_no_new_one_is_taken(
    transactional_db: None, tmp_path: Path
) -> None:
    with one_process("web", tmp_path) as service, closed_gate("app_delivery") as gate:
        web = service.processes["web"]
        wait_until_idle(service, "web")
        sender = Sender(service)
        gate.wait_for("web")
        web.send(signal.SIGTERM)
        eventually(lambda: refuses(service), 4)  # the statement has five seconds
        assert web.poll() is None
        gate.open()
        answer = sender.wait()
        assert answer.status == 202, answer
        assert web.wait(20) == 0
    message_id = uuid.UUID(answer.body["message_id"])
    assert query("SELECT id, state, attempts FROM outbox_message") == [(message_id, "pending", 0)]


def cut_off(service: Service, second: signal.Signals) -> None:
    """Send a delivery, and two signals while it is being stored; nothing of it is."""
    web = service.processes["web"]
    wait_until_idle(service, "web")
    with closed_gate("app_delivery") as gate:
        sender = Sender(service)
        gate.wait_for("web")
        web.send(signal.SIGTERM)
        eventually(lambda: refuses(service), 4)
        web.send(second)
        assert web.wait(20) == 0
        assert isinstance(sender.wait(), Exception)
    waits = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pillarbox web'"
    eventually(lambda: not query(waits), 20)
    assert query("SELECT id FROM outbox_message") == []


def test_the_second_signal_cuts_a_request_off_and_nothing_of_it_is_stored(
    transactional_db: None, tmp_path: Path
) -> None:
    with one_process("web", tmp_path) as service:
        cut_off(service, signal.SIGTERM)


@pytest.mark.slow
def test_a_sender_who_was_cut_off_sends_again(transactional_db: None, tmp_path: Path) -> None:
    with one_process("web", tmp_path) as service:
        cut_off(service, signal.SIGINT)
        service.processes["web"].start()
        wait_until_idle(service, "web")
        assert service.deliver(event(), "msg_1").status == 202
    assert query("SELECT count(*) FROM outbox_message") == [(1,)]
