from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import ProgrammingError, connection, transaction

from outbox.poller import Poller
from tests.waiting import eventually

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]

CHANNEL = "outbox_pending"
LONG = 60.0  # an interval that no test waits for: the file's timeout is shorter


class Steps:
    """A step that follows a script: a list of answers, or of functions that give one."""

    def __init__(self, *script: bool | Callable[[], bool]) -> None:
        self.calls = 0
        self.poller: Poller | None = None
        self._script = script

    def __call__(self) -> bool:
        answer = self._script[self.calls]
        self.calls += 1
        if self.calls == len(self._script) and self.poller is not None:
            self.poller.stop()
        return answer if isinstance(answer, bool) else answer()


def run(steps: Steps, interval: float = LONG, **options: Any) -> Poller:
    """Run a poller that ends after the last step of the script."""
    poller = Poller("test", steps, interval=interval, channel=CHANNEL, **options)
    steps.poller = poller
    poller.run()
    return poller


def query(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def backend() -> int:
    return int(query("SELECT pg_backend_pid()")[0][0])


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        line for name, at, line in caplog.record_tuples if name == "outbox.poller" if at == level
    ]


@pytest.fixture
def supervisor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], list[str]]]:
    """Stands for systemd: gives what it was told so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        told: list[str] = []

        def read() -> list[str]:
            while True:
                try:
                    told.extend(receiver.recv(1000).decode().splitlines())
                except BlockingIOError:
                    return told

        yield read


def test_a_step_that_has_more_is_called_again_at_once() -> None:
    steps = Steps(True, True, True, False)

    run(steps)

    assert steps.calls == 4


def test_a_step_that_has_no_more_is_called_again_after_the_interval() -> None:
    began = time.monotonic()
    steps = Steps(False, False, False)

    run(steps, interval=0.05)

    assert steps.calls == 3
    assert time.monotonic() - began >= 0.1


def test_a_notification_ends_the_wait(connect: Callable[[], Any]) -> None:
    notifier = connect()
    steps = Steps(False, False)

    def notify_the_sleeper() -> None:
        eventually(lambda: steps.calls == 1)
        notifier.cursor().execute(f"NOTIFY {CHANNEL}")

    thread = threading.Thread(target=notify_the_sleeper)
    thread.start()
    run(steps)
    thread.join()

    assert steps.calls == 2


def test_a_notification_that_a_query_has_read_is_not_slept_over(connect: Callable[[], Any]) -> None:
    notifier = connect()

    def notified_in_a_query() -> bool:
        notifier.cursor().execute(f"NOTIFY {CHANNEL}")
        query("SELECT pg_sleep(0.05)")
        assert connection.connection.notifies, "the query has read the notification"
        return False

    steps = Steps(notified_in_a_query, False)

    run(steps)

    assert steps.calls == 2


def test_sleeping_in_a_transaction_is_refused() -> None:
    def leaves_a_transaction_open() -> bool:
        transaction.set_autocommit(False)
        query("SELECT 1")
        return False

    try:
        with pytest.raises(RuntimeError, match="left a transaction open"):
            run(Steps(leaves_a_transaction_open, False))
    finally:
        connection.close()


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


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError])
def test_any_other_exception_ends_the_loop(error: type[Exception]) -> None:
    def fails() -> bool:
        raise error

    with pytest.raises(error):
        run(Steps(fails, False))


def test_a_mistake_in_a_statement_ends_the_loop() -> None:
    with pytest.raises(ProgrammingError):
        run(Steps(lambda: bool(query("SELECT * FROM no_such_table")), False))


def test_a_stop_before_the_loop_starts_is_not_lost() -> None:
    steps = Steps()
    poller = Poller("test", steps, interval=LONG, channel=CHANNEL)
    poller.stop()

    poller.run()

    assert steps.calls == 0


def test_a_stop_between_two_steps_that_have_more_is_heard() -> None:
    stopped: list[bool] = []
    steps = Steps(True, True)

    poller = run(steps, on_stop=lambda: stopped.append(poller_of(steps).stop_requested()))

    assert poller.stop_requested()
    assert (steps.calls, stopped) == (2, [True])


def poller_of(steps: Steps) -> Poller:
    assert steps.poller is not None
    return steps.poller


def test_an_outage_at_the_end_is_no_failure(outage: Any, caplog: pytest.LogCaptureFixture) -> None:
    def give_back() -> None:
        outage.begin()
        query("SELECT 1")

    run(Steps(False), on_stop=give_back)

    assert "stopped without its database" in lines(caplog, logging.WARNING)[0]


def test_the_supervisor_hears_of_start_and_end(supervisor: Callable[[], list[str]]) -> None:
    def not_ready_before_the_first_step_has_ended() -> bool:
        assert supervisor() == []
        return True

    run(Steps(not_ready_before_the_first_step_has_ended, False))

    assert supervisor() == ["READY=1", "STATUS=working", "STOPPING=1"]


def test_the_watchdog_is_fed_while_steps_have_more_and_while_nothing_happens(
    supervisor: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    fed: list[int] = []

    def busy() -> bool:
        time.sleep(0.011)
        fed.append(supervisor().count("WATCHDOG=1"))
        return True

    run(Steps(busy, busy, busy, False, False, False))

    assert fed == [0, 1, 2]
    assert supervisor().count("WATCHDOG=1") >= 5
