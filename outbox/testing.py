"""Helpers for the tests of a project that uses the outbox.

They need no broker and no other process, and work in the transaction of Django's `TestCase` or of
pytest-django's `db`. `OutboxTestMixin` has them as methods; with pytest there are fixtures, see
`outbox.pytest_plugin`.
"""

from __future__ import annotations

import json
from typing import Any

from outbox import database, registry
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.message import Message
from outbox.payload import to_json
from outbox.prepare import Preparer
from outbox.statements import COLUMNS
from outbox.states import FINISHABLE, State

MOST_MESSAGES = 10_000
"""So many follow-ups of follow-ups have no end."""
FRUITLESS_ROUNDS = 3
"""A prepare function that gives a message back this often in a row waits for something else."""

_LIVE = f"SELECT {COLUMNS}, payload, suspect, state FROM outbox_message ORDER BY received_at, id"  # noqa: S608 - two literals

# No verb of the store: it takes claims away from whoever has them, as no running process may.
# Inside a test's transaction `now()` stands still, and without it nothing would ever be due.
_DUE_NOW = """
UPDATE outbox_message
SET due_at = now(), lease_token = NULL, suspect = false, started_at = NULL
WHERE state <> 'dead'
"""


def enqueued(task: Task[Any] | None = None, /, **payload: Any) -> list[Message]:
    """The messages that wait, oldest first: for `task`, with at least these keyword arguments.

    Without a task those of all tasks. The dead and the done wait for nothing. Raises TypeError for
    arguments that the task does not take, which no message could have.
    """
    if task is not None:
        _check_names(task, payload)
    wanted = json.loads(to_json("the test", payload))
    return [
        message
        for message, _ in _owed()
        if (task is None or message.task == task.name) and wanted.items() <= message.payload.items()
    ]


def assert_enqueued(task: Task[Any], /, **payload: Any) -> Message:
    """Return the oldest message that waits for `task` with at least these keyword arguments.

    Raises AssertionError, listing what is in the outbox instead; a dead message waits for nothing.
    """
    found = enqueued(task, **payload)
    if not found:
        call = _call(task.name, payload)
        raise AssertionError(f"{call} is not enqueued. In the outbox:{_listed(_live())}")
    return found[0]


def assert_not_enqueued(task: Task[Any], /, **payload: Any) -> None:
    """Raise AssertionError, listing them, if messages wait for `task` with these arguments."""
    found = {message.id for message in enqueued(task, **payload)}
    if found:
        listed = _listed([each for each in _owed() if each[0].id in found])
        raise AssertionError(f"{_call(task.name, payload)} is enqueued:{listed}")


def drain() -> int:
    """Prepare and run, here and now, all that is enqueued, and what that enqueues in turn.

    Due times and leases are ignored, so nothing else may work on the database meanwhile. A failure
    of a task or of a prepare function is written down as in a worker, and its exception raised;
    to call it again is to try again. Returns how many messages were done; the dead stay dead.
    Raises RuntimeError when some can never be done, `UnknownEventType` when one has no task here.
    """
    done = fruitless = 0
    preparer = _RaisingPreparer(batch_size=MOST_MESSAGES)
    while owed := _owed():
        if done >= MOST_MESSAGES or fruitless == FRUITLESS_ROUNDS:
            raise RuntimeError(
                f"{done} messages were done, and there is no end of them, or nothing that brings "
                f"one on. Left:{_listed(owed[:10])}"
            )
        before = done
        database.run(_DUE_NOW)
        preparer.step()
        preparer.raise_failure()
        for message, state in _owed():
            task = registry.get(message.event_type)
            if state in FINISHABLE:
                done += consume(task, message.id, again=False) == "done"
        fruitless = fruitless + 1 if done == before else 0
    return done


class OutboxTestMixin:
    """The helpers as methods, for Django's `TestCase` or `TransactionTestCase`."""

    def assertEnqueued(self, task: Task[Any], /, **payload: Any) -> Message:  # noqa: N802 - unittest's style
        """See `assert_enqueued`."""
        return assert_enqueued(task, **payload)

    def assertNotEnqueued(self, task: Task[Any], /, **payload: Any) -> None:  # noqa: N802 - unittest's style
        """See `assert_not_enqueued`."""
        assert_not_enqueued(task, **payload)

    def drain(self) -> int:
        """See `outbox.testing.drain`."""
        return drain()


class _RaisingPreparer(Preparer):
    """The post-processor's work, whose first failure is raised once the whole step is written."""

    _failure: Exception | None = None

    def _fail(self, message: Message, error: Exception) -> None:
        super()._fail(message, error)
        self._failure = self._failure or error

    def raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure


def _check_names(task: Task[Any], payload: dict[str, Any]) -> None:
    try:
        task.parameters.bind_partial(**payload)
    except TypeError as error:
        raise TypeError(f"{task.name}: {error}.") from None


def _live() -> list[tuple[Message, State]]:
    return [(Message.from_row(columns), State(state)) for *columns, state in database.run(_LIVE)]


def _owed() -> list[tuple[Message, State]]:
    return [(message, state) for message, state in _live() if state is not State.DEAD]


def _listed(messages: list[tuple[Message, State]]) -> str:
    lines = (f"\n  {_call(message.task, message.payload)}: {state}" for message, state in messages)
    return "".join(lines) or " nothing"


def _call(name: str, payload: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in payload.items())})"
