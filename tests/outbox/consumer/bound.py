"""A bound task whose base class notes what Celery's hooks are told."""

from __future__ import annotations

from typing import Any

import celery

import outbox
from outbox.declaration import Task
from tests.message_factory import state_of
from tests.outbox.consumer.test_consumer_in_celery import run_as_a_worker


def work(task: Task[Any], message: outbox.Message) -> Any:
    return run_as_a_worker(task, id=str(message.id), headers={"outbox": 1}, delivery_info={})


class Noted(celery.Task):  # type: ignore[type-arg]
    """A base class as users write it, that notes what it is told."""

    setting = "of the class"

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        self.told.append(("before_start", task_id, args, kwargs))

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self.told.append(("on_success", retval, state_of(outbox.current_message().id)))

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.told.append(("on_failure", repr(exc), type(exc).__name__ in einfo.traceback))

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.told.append(("on_retry", repr(exc), type(exc).__name__ in einfo.traceback))

    def after_return(self, status: str, *rest: Any) -> None:
        self.told.append(("after_return", status))


def hooks_of(told: list[tuple[Any, ...]]) -> list[str]:
    return [hook for hook, *_ in told]
