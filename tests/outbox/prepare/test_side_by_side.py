"""Two batches at a time, while there is a backlog."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection

import outbox
from outbox import prepare, store
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from outbox.side_by_side import SideBySide
from tests.outbox.prepare.preparing import Filling, committed, enqueue, filled, make_due, rows
from tests.waiting import eventually

pytestmark = committed


@pytest.fixture
def both() -> Iterator[SideBySide]:
    both = SideBySide(Preparer(batch_size=2), Preparer(batch_size=2))
    yield both
    both.close()


def sessions() -> int:
    statement = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
    """
    return int(store.run(statement)[0][0])


def test_two_batches_are_prepared_at_a_time(
    task: Task[Any], filling: Filling, both: SideBySide
) -> None:
    enqueue(task, *range(12))
    assert both.advance()
    assert len(filling.batches) == 1, "the first full one tells that there are more"
    together = threading.Barrier(2, timeout=20)

    def meet(_: list[outbox.Message]) -> None:
        together.wait()

    filling.then = meet
    assert both.advance()
    assert len(filling.batches) == 3


def test_everything_is_prepared_once_and_no_second_session_stays(
    task: Task[Any], filling: Filling, both: SideBySide
) -> None:
    before = sessions()
    enqueue(task, *range(25))
    while both.advance():
        pass
    assert sorted(number for batch in filling.batches for number in batch) == [*range(25)]
    assert filled() == {*range(25)} == {*rows("ready")}
    eventually(lambda: sessions() == before)


def test_an_error_of_the_second_is_raised_when_both_have_ended(
    task: Task[Any], both: SideBySide, filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(task, *range(9))
    assert both.advance()
    real = store.mark_ready

    def lose(messages: list[outbox.Message]) -> Any:
        if threading.current_thread() is not threading.main_thread():
            connection.connection.close()
            raise DatabaseError("server closed the connection unexpectedly")
        return real(messages)

    monkeypatch.setattr(store, "mark_ready", lose)
    monkeypatch.setattr(store, "release", lose_in_thread(store.release))
    with pytest.raises(OperationalError):
        both.advance()
    assert len(rows("ready")) == 4
    monkeypatch.undo()
    monkeypatch.setattr(prepare, "LOOK_SECONDS", 0.0)  # some are suspects now
    while both.advance():
        pass
    make_due()
    while both.advance():
        pass
    assert len(rows("ready")) == 9
    assert {row.attempts for row in rows("ready").values()} == {0}


def lose_in_thread(real: Any) -> Any:
    def lose(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            connection.ensure_connection()
            connection.connection.close()
            raise DatabaseError("server closed the connection unexpectedly")
        return real(*args, **kwargs)

    return lose


def test_a_stop_gives_back_what_neither_has_begun(task: Task[Any], filling: Filling) -> None:
    stopping = False
    first, second = (Preparer(batch_size=2, stopping=lambda: stopping) for _ in range(2))
    both = SideBySide(first, second)
    enqueue(task, *range(20))
    assert both.advance()
    assert both.advance()
    stopping = True
    both.advance()
    both.close()
    left = rows("pending")
    assert len(left) == 14
    assert {(each.lease_token, each.suspect, each.attempts) for each in left.values()} == {
        (None, False, 0)
    }
    assert not OutboxMessage.objects.filter(lease_token__isnull=False).exists()
