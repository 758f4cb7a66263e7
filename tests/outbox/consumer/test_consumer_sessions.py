"""A worker's session between two tasks: when it is looked at, and what its loss costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from outbox import outage
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.states import DONE
from tests.message_factory import state_of
from tests.outbox.consumer.consuming import Body, Raw, committed, effects, sent

pytestmark = committed


@pytest.fixture
def lose(connect: Raw) -> Callable[[], None]:
    """End the session as a restart of the server would, unseen by this process."""

    def end() -> None:
        pid = connection.connection.info.backend_pid
        connect().cursor().execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    return end


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("kind", ["task", "leased"])
def test_a_session_that_is_lost_right_after_a_task_costs_the_next_one_nothing(
    request: pytest.FixtureRequest, lose: Callable[[], None], body: Body, kind: str, again: bool
) -> None:
    task: Task[Any] = request.getfixturevalue(kind)
    first, second = sent(task), sent(task)
    assert consume(task, first.id, again=False) == "done"
    lose()
    assert consume(task, second.id, again=again) == "done"
    assert [message.attempts for message in body.runs] == [1, 1]
    assert effects() == 2
    assert state_of(second.id) == DONE


@pytest.mark.parametrize(("trusted_seconds", "looks"), [(3600.0, 0), (0.0, 1)])
def test_only_a_session_that_was_idle_is_looked_at(
    task: Task[Any], monkeypatch: pytest.MonkeyPatch, trusted_seconds: float, looks: int
) -> None:
    monkeypatch.setattr(outage, "TRUSTED_SECONDS", trusted_seconds)
    first, second = sent(task), sent(task)
    consume(task, first.id, again=False)
    looked: list[object] = []
    monkeypatch.setattr(outage, "_use", lambda: looked.append(1))
    assert consume(task, second.id, again=False) == "done"
    assert len(looked) == looks
