from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction

from outbox import poller
from outbox.poller import Poller
from tests.outbox.steps import CHANNEL, LONG, Steps, run
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]


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
    stopped = Poller("test", steps, interval=LONG, channel=CHANNEL)
    stopped.stop()

    stopped.run()

    assert steps.calls == 0


def test_a_stop_between_two_steps_that_have_more_is_heard() -> None:
    stopped: list[bool] = []
    steps = Steps(True, True)

    run(steps, on_stop=lambda: stopped.append(True))

    assert (steps.calls, stopped) == (2, [True])


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


def test_quiet_is_told_once_before_each_long_wait() -> None:
    told: list[int] = []
    steps = Steps(True, False, False, False)

    run(steps, interval=0.02, on_quiet=lambda: told.append(steps.calls))

    assert told == [2, 3], "not while there is more, and not at the end"


def test_a_notification_that_comes_at_once_breaks_the_quiet(
    connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "QUIET_SECONDS", LONG)
    notifier = connect()

    def notified() -> bool:
        notifier.cursor().execute(f"NOTIFY {CHANNEL}")
        return False

    steps = Steps(notified, notified, False)

    run(steps, on_quiet=lambda: pytest.fail("it was not quiet"))

    assert steps.calls == 3
