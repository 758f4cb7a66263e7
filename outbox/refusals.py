"""What of Celery's interface cannot work for an outbox task, and what to do instead.

A name is looked up where a user writes it: as an option of `@outbox.task`, as an argument of
`enqueue`, or as a method of the task or of the message.
"""

from __future__ import annotations

from typing import Any, NoReturn

from outbox.exceptions import NotSendable

_RETRY = "retries live in the row: raise, or call self.retry(countdown=...) with bind=True, and "
_RETRIES = _RETRY + "bound them with max_attempts=... and backoff=..."
_ACKS = "the message is acknowledged when its row is settled, and the row survives the broker"
_RESULT = "there is no result: write what others need to a row of yours, in the task's transaction"
_EMPTY = "the message to the broker is empty, as the payload waits in the row"
_ROUTE = "name a queue=..., and bind it in CELERY_TASK_QUEUES"
_LATER = "do it in the task itself, or enqueue the next task from its body: a follow-up"

OPTIONS: dict[str, str] = {
    "autoretry_for": _RETRIES,
    "dont_autoretry_for": "raise outbox.Permanent to give up at once",
    "max_retries": "set max_attempts=..., which counts the first try too",
    "default_retry_delay": "set backoff=..., or call self.retry(countdown=...)",
    "retry_backoff": "set backoff=outbox.Backoff(base=..., cap=...), in seconds",
    "retry_backoff_max": "set backoff=outbox.Backoff(base=..., cap=...), in seconds",
    "retry_jitter": "outbox.Backoff has jitter always; for none give a function, attempts -> s",
    "retry_kwargs": _RETRIES,
    "retry": "it is about publishing: the relay sends until the broker has confirmed",
    "retry_policy": "it is about publishing: the relay sends until the broker has confirmed",
    "acks_late": _ACKS,
    "acks_on_failure": _ACKS,
    "acks_on_failure_or_timeout": _ACKS,
    "acks_on_timeout": _ACKS,
    "reject_on_worker_lost": _ACKS + ": it is sent again, counted",
    "retry_on_worker_lost": _ACKS + ": it is sent again, counted",
    "ignore_result": _RESULT,
    "store_errors_even_if_ignored": "the error of a failed try is in the row, last_error",
    "track_started": _RESULT,
    "result_expires": _RESULT,
    "trail": _RESULT,
    "backend": _RESULT,
    "expires": "what is owed is not dropped: look at the time in the body, and return",
    "eta": "enqueue takes no time: in the body call self.retry(countdown=...), or have a beat "
    "schedule look for what is due",
    "countdown": "enqueue takes no time: in the body call self.retry(countdown=...), or have a "
    "beat schedule look for what is due",
    "serializer": _EMPTY,
    "compression": _EMPTY,
    "pydantic": "the payload is JSON: build the model in the body from its arguments",
    "typing": "enqueue checks the arguments, always",
    "exchange": _ROUTE,
    "routing_key": _ROUTE,
    "delivery_mode": "the relay sends messages that survive a restart of the broker",
    "mandatory": "the relay asks for it always: an unroutable message is a failure",
    "immediate": "RabbitMQ knows it no more",
    "link": _LATER,
    "link_error": "override on_failure in a base=..., or look at the dead letters",
    "request_stack": "it belongs to Celery",
    "abstract": "write a base class and give it as base=...",
}
"""Options of Celery's decorator, and arguments of its apply_async, with what to do instead."""

_ENQUEUE = "call {task}.enqueue(...) inside transaction.atomic()"
_CANVAS = "a message stands alone: " + _ENQUEUE + ", and the next one from the body of the first"
_MANY = "call {task}.enqueue_many([{{...}}, {{...}}]) inside transaction.atomic()"
_HERE = "call {task}(...) to run its body here; outbox.testing.drain() runs what is enqueued"

CALLS: dict[str, str] = {
    "delay": _ENQUEUE,
    "apply_async": _ENQUEUE,
    "delay_on_commit": _ENQUEUE,
    "apply_async_on_commit": _ENQUEUE,
    "apply": _HERE,
    "retry": "declare it with bind=True and call self.retry(countdown=...) on what the body gets",
    "s": _CANVAS,
    "si": _CANVAS,
    "signature": _CANVAS,
    "subtask": _CANVAS,
    "clone": _CANVAS,
    "freeze": _CANVAS,
    "replace": _CANVAS,
    "add_to_chord": _CANVAS,
    "link": _CANVAS,
    "__or__": _CANVAS,
    "map": _MANY,
    "starmap": _MANY,
    "chunks": _MANY,
    "AsyncResult": "look at its row: manage.py outbox show ID; " + _RESULT,
    "update_state": _RESULT,
}
"""Methods of Celery's task with what to do instead; `{task}` is the task's own name."""

RESULT_NAMES = frozenset(
    {
        *("get", "wait", "collect", "iterdeps", "forget", "revoke", "then", "join"),
        *("result", "info", "status", "state", "ready", "successful", "failed", "traceback"),
    }
)
"""What Celery's AsyncResult has and a message has not."""

NO_RESULT = (
    "a message is no result, and its task has not run: look at it with manage.py outbox show ID, "
    "and have the task write what others need to a row of theirs"
)


def refuse_call(task: str, way: str) -> NoReturn:
    """Raise `NotSendable` for a method in `CALLS`. `task` is the task's own name."""
    advice = CALLS[way].format(task=task.rpartition(".")[2])
    raise NotSendable(f"{task} is an outbox task, and {way} cannot work: {advice}.")


def refuse_options(names: set[str]) -> str:
    """The refusals of some options as one text, each with what to do instead."""
    return "; ".join(f"{name}: {OPTIONS[name]}" for name in sorted(names))


def hint_for_arguments(names: set[str]) -> str:
    """What to add to the refusal of arguments that a task does not take; empty if nothing."""
    known = names & (OPTIONS.keys() | {"queue", "priority", "time_limit", "task_id"})
    if not known:
        return ""
    told = {
        "queue": "declare it: @outbox.task(..., queue=...)",
        "priority": "declare it: @outbox.task(..., priority=...)",
        "time_limit": "declare it: @outbox.task(..., time_limit=...)",
        "task_id": "it is the message's id, which enqueue returns",
        **OPTIONS,
    }
    return "".join(f" {name}: {told[name]}." for name in sorted(known))


def refusing(way: str) -> Any:
    """A method that refuses, for a class whose `name` is the task's."""

    def method(self: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        refuse_call(self.name, way)

    method.__name__ = way
    method.__doc__ = f"Refused: {CALLS[way]}."
    return method
