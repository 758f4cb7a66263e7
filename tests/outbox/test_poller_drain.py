from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from outbox.poller import Poller

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]


class Rows:
    """Rows that a step works off, so many at a time."""

    def __init__(self, owed: int, at_once: int) -> None:
        self.owed = owed
        self.steps = 0
        self._at_once = at_once

    def step(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        self.steps += 1
        self.owed -= min(self.owed, self._at_once)
        return self.owed > 0 and self._at_once > 0

    def unfinished(self) -> int:
        return self.owed


def poller(step: Callable[[], bool], **options: Any) -> Poller:
    return Poller("test", step, interval=0.01, channel="outbox_pending", **options)


def test_a_drain_ends_when_nothing_is_owed() -> None:
    rows = Rows(owed=10, at_once=3)

    assert poller(rows.step).drain(rows.unfinished) is True
    assert (rows.owed, rows.steps) == (0, 4)


def test_what_waits_for_quiet_is_done_before_a_drain_counts() -> None:
    rows = Rows(owed=1, at_once=0)

    def work() -> None:
        rows.owed = 0

    assert poller(rows.step, on_quiet=work).drain(rows.unfinished) is True
    assert rows.steps == 1


def test_a_drain_of_nothing_takes_one_step() -> None:
    rows = Rows(owed=0, at_once=1)

    assert poller(rows.step).drain(rows.unfinished) is True
    assert rows.steps == 1


def test_a_drain_without_progress_gives_up() -> None:
    rows = Rows(owed=10, at_once=0)

    assert poller(rows.step).drain(rows.unfinished, patience=0.1) is False
    assert rows.steps > 1


def test_a_drain_is_patient_while_others_finish_what_is_owed() -> None:
    rows = Rows(owed=30, at_once=0)

    def others() -> int:
        rows.owed -= 1
        return rows.owed

    # The whole takes longer than the patience, which begins anew with each row.
    assert poller(rows.step).drain(others, patience=0.2) is True


def test_a_drain_survives_a_lost_connection(outage: Any) -> None:
    rows = Rows(owed=10, at_once=5)
    ended: list[None] = []

    def unfinished() -> int:
        if not ended:
            ended.append(outage.end_sessions())
            rows.step()
        return rows.owed

    assert poller(rows.step).drain(unfinished) is True


def test_a_drain_gives_up_in_an_outage(outage: Any) -> None:
    rows = Rows(owed=10, at_once=1)
    outage.begin()

    assert poller(rows.step).drain(rows.unfinished, patience=0.3) is False
    assert rows.steps == 0


def test_a_drain_that_is_stopped_has_not_drained() -> None:
    rows = Rows(owed=10, at_once=0)
    given_back: list[bool] = []
    stopped = poller(rows.step, on_stop=lambda: given_back.append(True))
    timer = threading.Timer(0.1, stopped.stop)
    timer.start()

    assert stopped.drain(rows.unfinished) is False
    assert given_back == [True]
    timer.join()
