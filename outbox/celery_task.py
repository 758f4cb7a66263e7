"""Celery's side of an outbox task: what its workers find under the task's name."""

from __future__ import annotations

import sys
from types import new_class
from typing import TYPE_CHECKING, Any, NoReturn, cast
from uuid import UUID

import celery
from celery.exceptions import Ignore, Retry, TaskPredicate

from outbox import consumer
from outbox.backoff import LONGEST_SECONDS, is_wait
from outbox.conf import outbox_settings
from outbox.current import current_message
from outbox.exceptions import NotSendable
from outbox.refusals import CALLS, refusing

if TYPE_CHECKING:
    from collections.abc import Callable

    from outbox.declaration import Task
    from outbox.message import Message


class BoundTask(celery.Task):  # type: ignore[type-arg]  # generic in newer releases only
    """Received by a worker, never sent. With `bind=True` the body gets it as its first argument.

    `request.id` is the message's id, `request.retries` the tries of this step before this one.
    """

    declared: Task[Any]

    @property
    def message(self) -> Message:
        """The message whose task is running. Raises LookupError outside of one."""
        return current_message()

    @property
    def max_retries(self) -> int:  # type: ignore[override]
        """How often a message may be tried again after its first try."""
        return (self.declared.max_attempts or outbox_settings().max_attempts) - 1

    def retry(  # type: ignore[override]  # takes less, and refuses the rest by name
        self,
        args: object = None,
        kwargs: object = None,
        exc: BaseException | None = None,
        *,
        countdown: float | None = None,
        **refused: Any,
    ) -> NoReturn:
        """End this try: undo what it did, and try again in `countdown` seconds.

        Without `countdown` the task's backoff says when. It counts as a try: with the last one
        the message is dead. `exc` is kept as the reason. Raises Celery's Retry, and TypeError
        for what Celery's own retry takes besides.
        """
        if args is not None or kwargs is not None:
            raise TypeError("retry: the payload stays; for another one, enqueue another message.")
        if refused:
            raise TypeError(
                f"retry takes countdown (seconds) and exc, not {', '.join(sorted(refused))}: "
                "the number of tries is the task's max_attempts."
            )
        if countdown is not None and not is_wait(countdown):
            raise TypeError(
                f"retry: countdown is {countdown!r}, and must be seconds, 0 to {LONGEST_SECONDS}."
            )
        cause = exc if exc is not None else sys.exc_info()[1]
        when = "after its backoff" if countdown is None else f"in {countdown} s"
        reason: Any = cause
        wait: Any = countdown
        raise Retry(f"asked to be tried again {when}: {cause!r}", reason, wait) from cause

    def before_start(self, *_: Any, **__: Any) -> None:
        """Nothing: Celery calls its hooks for copies too, which run nothing. See `Hooks`."""

    on_success = on_retry = on_failure = after_return = before_start

    def call_hook(self, hook: str, *arguments: object) -> None:
        """Call a hook of the user's base class, which ours stands in front of."""
        getattr(super(), hook)(*arguments)


for _way in CALLS.keys() - {"retry"}:
    setattr(BoundTask, _way, refusing(_way))


def with_base(base: type[celery.Task[Any, Any]] | None) -> type[BoundTask]:
    """The class of a task: ours, in front of the user's `base`."""
    if base is None:
        return BoundTask
    name, home = str(base.__qualname__), {"__module__": base.__module__}
    mixed = new_class(name, (BoundTask, base), exec_body=lambda names: names.update(home))
    return cast("type[BoundTask]", mixed)


def runner(task: Task[Any]) -> Callable[..., str]:
    """The function that Celery runs for a task: consume the message named by the task id."""

    def run(celery_task: celery.Task[Any, Any], *_args: Any, **_kwargs: Any) -> str:
        request = celery_task.request
        sends = (getattr(request, "headers", None) or {}).get("outbox")
        if sends is None:
            raise NotSendable(f"{task.name} {request.id} was not sent by the outbox's relay.")
        again = sends > 1 or bool((request.delivery_info or {}).get("redelivered"))
        try:
            return consumer.consume(task, UUID(request.id), again=again)
        except Retry as asked:
            # Asked for, and no failure to report. To Celery it is settled: the row comes again.
            raise Ignore(str(asked)) from asked
        except (MemoryError, TaskPredicate) as error:
            # Celery ends the whole worker for the first, and for the others does what the row
            # has already seen to.
            raise RuntimeError(f"{task.name} raised {error!r}") from error

    run.__doc__ = task.__doc__
    return run
