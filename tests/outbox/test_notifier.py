from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from outbox import notifier
from tests.waiting import eventually

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]

Listen = Callable[[str], Any]
Heard = Callable[[Any, float], bool]


@pytest.fixture(autouse=True)
def _closed_before_and_after(database: None) -> Iterator[None]:
    notifier.close()
    yield
    notifier.close()


def threads() -> int:
    return sum(thread.name == "outbox-notifier" for thread in threading.enumerate())


def test_a_wake_reaches_the_listeners_of_its_channel_alone(listen: Listen, heard: Heard) -> None:
    pending, ready = listen("outbox_pending"), listen("outbox_ready")

    notifier.wake("outbox_pending")

    assert heard(pending, 10)
    assert not heard(ready, 0)


def test_a_wake_does_not_wait_for_the_transaction_of_its_caller(
    listen: Listen, heard: Heard
) -> None:
    listener = listen("outbox_pending")

    with transaction.atomic():
        notifier.wake("outbox_pending")
        assert heard(listener, 10)


def test_the_settings_of_a_notification_end_with_it(listen: Listen, heard: Heard) -> None:
    """A pooler in transaction mode hands the session to others."""
    shown = "SELECT current_setting('synchronous_commit'), current_setting('statement_timeout')"
    own = notifier.Notifier()
    before = own._connection.run(shown, seconds=10)
    listener = listen("outbox_pending")

    assert own._send(["outbox_pending"]) is None

    assert heard(listener, 10)
    assert own._connection.run(shown, seconds=10) == before
    own._connection.close()


def test_a_burst_is_coalesced_and_its_last_wake_is_heard(listen: Listen) -> None:
    listener = listen("outbox_pending")
    written = seen = notifications = 0

    def write() -> None:
        nonlocal written
        for number in range(1, 1_001):
            written = number
            notifier.wake("outbox_pending")
            if number % 10 == 0:
                time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    # The listener looks only when it is told to: a last wake that were swallowed would be missed.
    deadline = time.monotonic() + 10
    while seen < 1_000:
        assert time.monotonic() < deadline, f"{seen} of 1000 after {notifications} notifications"
        select.select([listener], [], [], 1)
        listener.poll()
        notifications += len(listener.notifies)
        if listener.notifies:
            seen = written
        listener.notifies.clear()
    writer.join()

    assert 1 <= notifications <= 100


def test_all_threads_share_one_thread_and_one_session(
    listen: Listen, heard: Heard, outage: Any
) -> None:
    listener = listen("outbox_ready")
    before = outage.sessions()
    callers = [
        threading.Thread(target=notifier.wake, args=("outbox_ready",), daemon=True)
        for _ in range(20)
    ]

    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert heard(listener, 10)
    assert threads() == 1
    assert outage.sessions() <= before + 1


def test_an_outage_loses_the_hint_and_nothing_else(
    outage: Any, listen: Listen, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    outage.begin()

    for _ in range(100):
        notifier.wake("outbox_pending")
    assert threads() == 1
    [record] = eventually(lambda: [*caplog.records])
    assert "polling finds the messages" in record.getMessage()

    outage.end()
    listener = listen("outbox_pending")
    # The hints of the outage may still be on their way to a connection that is refused.
    deadline = time.monotonic() + 10
    notifier.wake("outbox_pending")
    while not heard(listener, 0.1):
        assert time.monotonic() < deadline
        notifier.wake("outbox_pending")
    assert threads() == 1


def test_a_connection_that_died_while_idle_costs_no_hint(
    outage: Any, listen: Listen, heard: Heard
) -> None:
    first = listen("outbox_pending")
    notifier.wake("outbox_pending")
    assert heard(first, 10)
    outage.end_sessions()
    eventually(lambda: outage.sessions() == 0)
    connection.close()
    second = listen("outbox_pending")

    notifier.wake("outbox_pending")

    assert heard(second, 10)


def test_an_idle_notifier_leaves_the_database_and_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, outage: Any
) -> None:
    monkeypatch.setattr(notifier, "IDLE_SECONDS", 0.05)
    connection.close()
    eventually(lambda: outage.sessions() == 0)
    notifier.wake("outbox_pending")
    eventually(lambda: outage.sessions() == 1)

    eventually(lambda: outage.sessions() == 0)
    began = time.process_time()
    time.sleep(0.3)

    assert threads() == 1
    assert time.process_time() - began < 0.05


def test_it_is_idle_long_before_dropping_a_database_gives_up() -> None:
    # PostgreSQL waits five seconds for other sessions to leave.
    assert notifier.IDLE_SECONDS + notifier.CLOSE_SECONDS < 5


def test_closing_sends_what_waits_and_a_later_wake_starts_anew(
    listen: Listen, heard: Heard
) -> None:
    listener = listen("outbox_pending")
    notifier.wake("outbox_pending")
    notifier.close()
    assert heard(listener, 0)
    assert threads() == 0

    notifier.wake("outbox_pending")

    assert heard(listener, 10)


def test_closing_what_never_started_is_nothing() -> None:
    notifier.close()
    notifier.close()


def test_no_thread_to_be_had_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        notifier.wake("outbox_pending")

    assert threads() == 0
