from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from outbox.poller import Poller
from tests.outbox.steps import CHANNEL, LONG, Steps, lines, run
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]


def backend() -> int:
    return int(query("SELECT pg_backend_pid()")[0][0])


def test_a_lost_connection_is_replaced_and_listens_again(
    connect: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    other = connect()
    backends: list[int] = []

    def killed_while_it_waits() -> bool:
        backends.append(backend())
        other.cursor().execute("SELECT pg_terminate_backend(%s)", [backends[0]])
        return False

    def notified() -> bool:
        backends.append(backend())
        other.cursor().execute(f"NOTIFY {CHANNEL}")
        return False

    with caplog.at_level(logging.INFO):
        run(Steps(killed_while_it_waits, notified, False))

    assert backends[0] != backends[1]
    assert len(lines(caplog, logging.WARNING)) == 1
    assert lines(caplog, logging.INFO) == ["test: the database is back"]


def test_a_connection_that_the_step_closed_is_replaced(connect: Callable[[], Any]) -> None:
    other = connect()

    def closes() -> bool:
        other.cursor().execute(f"NOTIFY {CHANNEL}")
        connection.close()
        return False

    steps = Steps(closes, False)

    run(steps, interval=0.05)

    assert steps.calls == 2


def test_an_outage_is_waited_for_and_told_in_one_line(
    outage: Any, supervisor: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    def lost() -> bool:
        outage.begin()
        return bool(query("SELECT 1"))

    def end_the_outage() -> None:
        eventually(lambda: supervisor().count(waiting_for_the_database(supervisor())) >= 2)
        outage.end()

    steps = Steps(False, lost, False)
    thread = threading.Thread(target=end_the_outage)
    thread.start()
    with caplog.at_level(logging.INFO):
        run(steps, interval=0.01)
    thread.join()

    assert steps.calls == 3
    assert len(lines(caplog, logging.WARNING)) == 1
    told = [line for line in supervisor() if line.startswith("STATUS=")]
    assert told[0] == told[-1] == "STATUS=working"
    assert len(told) >= 4


def waiting_for_the_database(told: list[str]) -> str:
    return next((line for line in reversed(told) if "STATUS=waiting for" in line), "not yet")


def test_a_stop_is_heard_in_an_outage(outage: Any, supervisor: Callable[[], list[str]]) -> None:
    outage.begin()
    poller = Poller("test", Steps(), interval=LONG, channel=CHANNEL)

    def stop() -> None:
        eventually(lambda: "not yet" not in waiting_for_the_database(supervisor()))
        poller.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    poller.run()
    thread.join()

    assert "READY=1" not in supervisor()


def test_a_server_in_recovery_counts_as_lost(
    settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OUTBOX = {"DATABASE": "replica"}
    steps = Steps()
    poller = Poller("test", steps, interval=LONG, channel=CHANNEL)

    def stop() -> None:
        eventually(lambda: bool(lines(caplog, logging.WARNING)))
        poller.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    poller.run()
    thread.join()

    assert steps.calls == 0
    assert "recovery" in lines(caplog, logging.WARNING)[0]


def test_an_outage_at_the_end_is_no_failure(outage: Any, caplog: pytest.LogCaptureFixture) -> None:
    def give_back() -> None:
        outage.begin()
        query("SELECT 1")

    run(Steps(False), on_stop=give_back)

    assert "stopped without its database" in lines(caplog, logging.WARNING)[0]
