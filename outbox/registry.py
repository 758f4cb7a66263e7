"""The one registry: event type to task, queue, prepare function and policy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from outbox import backoff
from outbox.conf import outbox_settings
from outbox.exceptions import UnknownEventType
from outbox.states import State

if TYPE_CHECKING:
    from outbox.declaration import Task
    from outbox.message import Message

logger = logging.getLogger(__name__)

_tasks: dict[str, Task[Any]] = {}


@dataclass(frozen=True, slots=True)
class AllowedTasks:
    """What a relay may publish: the registered task names and those under a given prefix."""

    names: tuple[str, ...]
    prefixes: tuple[str, ...]

    def parameters(self) -> dict[str, list[str]]:
        """As the claims' parameters: names, and LIKE patterns."""
        escaped = (
            prefix.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            for prefix in self.prefixes
        )
        return {"tasks": list(self.names), "prefixes": [f"{prefix}%" for prefix in escaped]}


def register(task: Task[Any]) -> None:
    """Enter a task under each of its event types, or not at all.

    Raises ImproperlyConfigured if another task has one of them (a message has one task) or has
    its name: Celery would keep the first of the name and run its body for both.
    """
    for event_type, holder in _tasks.items():
        if event_type in task.event_types and holder.name != task.name:
            raise ImproperlyConfigured(
                f"Event type {event_type!r} has two tasks: {holder.name} and {task.name}. Give "
                "one of them a type of its own; where both are to run, enqueue both."
            )
        if event_type not in task.event_types and holder.name == task.name:
            raise ImproperlyConfigured(
                f"Two tasks are named {task.name}, for {event_type!r} and for "
                f"{', '.join(map(repr, task.event_types))}: name all event types in one, or "
                "give the other a name of its own."
            )
    _tasks.update(dict.fromkeys(task.event_types, task))


def get(event_type: str) -> Task[Any]:
    """The task of an event type. Raises `UnknownEventType`, naming what is known."""
    try:
        return _tasks[event_type]
    except KeyError:
        known = ", ".join(sorted(_tasks)) or "none"
        raise UnknownEventType(
            f"No task is registered for event type {event_type!r} (registered: {known})."
        ) from None


def find(event_type: str) -> Task[Any] | None:
    """The task of an event type, or None in a process that does not know it."""
    return _tasks.get(event_type)


def max_attempts(event_type: str) -> int:
    """How many tries of one step a message gets: its task's own number, or the setting."""
    task = _tasks.get(event_type)
    own = task.max_attempts if task else None
    return own if own is not None else outbox_settings().max_attempts


def delay_seconds(message: Message) -> float:
    """How long a message waits after a failed try, in seconds: its task's backoff, or ours.

    A backoff that fails, or returns no time to wait, is logged: it must not lose the failure.
    """
    task = _tasks.get(message.event_type)
    own = task.backoff if task else None
    if own is None:
        return backoff.delay_seconds(message.attempts)
    try:
        seconds = own(message.attempts)
        if not backoff.is_wait(seconds):
            raise ValueError(f"{seconds!r} is no wait in seconds, 0 to a year")  # noqa: TRY301
    except Exception:
        logger.exception("outbox.backoff of %s failed: the default is taken", message.task)
        return backoff.delay_seconds(message.attempts)
    return float(seconds)


def first_state(event_type: str) -> State:
    """The state in which messages of a type start. Raises `UnknownEventType`."""
    return State.READY if get(event_type).prepare_function is None else State.PENDING


def prepared_event_types() -> list[str]:
    """The event types that start as pending: this process has their prepare function."""
    return sorted(name for name, task in _tasks.items() if task.prepare_function is not None)


def tasks() -> list[Task[Any]]:
    """Every registered task, once, by name."""
    return sorted(set(_tasks.values()), key=lambda task: task.name)


def queues() -> set[str]:
    """The queues of all registered tasks."""
    return {task.queue for task in _tasks.values()}


def allowed_tasks() -> AllowedTasks:
    """The task names that a relay may publish."""
    names = sorted({task.name for task in _tasks.values()})
    return AllowedTasks(tuple(names), outbox_settings().tasks)


def unregister(task: Task[Any]) -> None:
    """Take a task out again, as tests do with the tasks they declare."""
    for event_type in task.event_types:
        _tasks.pop(event_type, None)
