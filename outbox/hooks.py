"""The body of a task, and around it the hooks of a user's base class."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo
from celery import states

from outbox.current import working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outbox.declaration import Task
    from outbox.message import Message

logger = logging.getLogger(__name__)


class Hooks:
    """One run of a task.

    `before_start` runs with the body, and its exception is the task's failure. The other hooks are
    told what has been committed, once, and their exceptions are logged.
    """

    def __init__(self, task: Task[Any], message: Message) -> None:
        self._task = task
        self._message = message

    def run(self) -> object:
        """Call the body with the message's payload."""
        payload = self._message.payload
        with working(self._message):
            if self._task.is_plain:
                return self._task(**payload)
            with self._requested() as celery_task:
                celery_task.call_hook("before_start", str(self._message.id), (), payload)
                return self._task(**payload)

    def tell_success(self, value: object) -> None:
        """The receipt is committed."""
        self._tell("on_success", states.SUCCESS, value, None)

    def tell_failure(self, failure: Exception, *, dead: bool) -> None:
        """The failure is committed: the message is dead, or will be tried again."""
        hook, status = ("on_failure", states.FAILURE) if dead else ("on_retry", states.RETRY)
        einfo = ExceptionInfo((type(failure), failure, failure.__traceback__))
        self._tell(hook, status, failure, einfo)

    def _tell(self, hook: str, status: str, value: object, einfo: ExceptionInfo | None) -> None:
        if self._task.base is None:
            return
        described = (str(self._message.id), (), self._message.payload)
        with working(self._message), self._requested() as celery_task:
            try:
                celery_task.call_hook(hook, value, *described, *([einfo] if einfo else []))
                celery_task.call_hook("after_return", status, value, *described, einfo)
            except Exception:
                logger.exception("outbox.hook %s of %s failed", hook, self._task.name)

    @contextmanager
    def _requested(self) -> Iterator[Any]:
        """The Celery task with a request of this message; outside a worker it has none."""
        celery_task = self._task.celery_task
        retries = max(0, self._message.attempts - 1)
        if celery_task.request.id == str(self._message.id):
            celery_task.request.retries = retries
            yield celery_task
            return
        celery_task.push_request(
            id=str(self._message.id),
            task=self._task.name,
            args=(),
            kwargs=self._message.payload,
            retries=retries,
            headers={"outbox": self._message.sends},
            called_directly=False,
        )
        try:
            yield celery_task
        finally:
            celery_task.pop_request()
