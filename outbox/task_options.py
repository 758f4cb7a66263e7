"""Which options an outbox task may have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import celery

from outbox.backoff import Backoff, is_wait
from outbox.refusals import CALLS, OPTIONS, refuse_options


class Options(TypedDict, total=False):
    """The options of `@outbox.task`; seconds and counts as in the comments."""

    name: str  # of the Celery task; by default module and function
    queue: str  # Celery's queue; task_default_queue by default
    priority: int  # 0 to 9, as AMQP and Celery have it; the queue must have x-max-priority
    max_attempts: int | None  # tries of one step, the first included; None: OUTBOX's
    backoff: Callable[[int], float]  # tries so far -> seconds; outbox.Backoff() by default
    atomic: bool  # True by default; False: no transaction is held, but a lease of time_limit
    time_limit: int | None  # seconds, then the worker kills the process (prefork alone)
    soft_time_limit: int | None  # seconds, then SoftTimeLimitExceeded (prefork alone)
    base: type[celery.Task[Any, Any]]  # a class of yours, for its hooks and attributes
    rate_limit: str | float  # Celery's, per worker
    throws: tuple[type[Exception], ...]  # Celery's: expected errors, logged without a traceback


KNOWN = Options.__annotations__.keys()
CELERYS = ("time_limit", "soft_time_limit", "rate_limit", "throws")
"""What is handed on to Celery as it is."""

_HOOKS = "before_start, on_success, on_failure, on_retry and after_return are called"


def check_event_types(event_types: tuple[object, ...]) -> None:
    """Raise TypeError unless there is at least one name."""
    if not event_types or not all(name and isinstance(name, str) for name in event_types):
        raise TypeError('Name the event type: @outbox.task("order.placed").')


def check_options(task: str, options: Mapping[str, Any]) -> None:
    """Raise TypeError for what cannot work, naming the task and what to do instead."""
    if refused := OPTIONS.keys() & options.keys():
        raise TypeError(f"{task} cannot have {refuse_options(refused)}.")
    if unknown := sorted(options.keys() - KNOWN - {"bind"}):
        raise TypeError(
            f"{task} has an unknown option {', '.join(unknown)}. Known are: bind, "
            f"{', '.join(KNOWN)}."
        )
    for check in (_check_numbers, _check_backoff):
        if fault := check(options):
            raise TypeError(f"{task}: {fault}")
    if "base" in options:
        _check_base(task, options["base"])


def _check_numbers(options: Mapping[str, Any]) -> str | None:
    priority = options.get("priority")
    if priority is not None and not (_is_whole(priority) and 0 <= priority <= 9):
        return f"priority is {priority!r}, and goes from 0 to 9."
    attempts = options.get("max_attempts")
    if attempts is not None and not (_is_whole(attempts) and attempts >= 1):
        return "max_attempts counts the first try: it is a number of at least 1."
    hard, soft = options.get("time_limit"), options.get("soft_time_limit")
    for name, limit in (("time_limit", hard), ("soft_time_limit", soft)):
        if limit is not None and not (is_wait(limit) and limit > 0):
            return f"{name} is {limit!r}, and must be seconds above 0."
    if soft is not None and hard is not None and soft >= hard:
        return "soft_time_limit must be below time_limit, which kills the process."
    if not options.get("atomic", True) and hard is None:
        return "atomic=False needs time_limit (seconds): its lease is made of it."
    return None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_backoff(options: Mapping[str, Any]) -> str | None:
    backoff = options.get("backoff", Backoff())
    if not callable(backoff) or isinstance(backoff, type):
        return (
            f"backoff is {backoff!r}: give outbox.Backoff(base=..., cap=...) in seconds, or a "
            "function from the tries so far to seconds."
        )
    return None


def _check_base(task: str, base: object) -> None:
    if not (inspect.isclass(base) and issubclass(base, celery.Task)):
        raise TypeError(f"{task}: base is {base!r}, and must be a subclass of celery.Task.")
    for each in base.__mro__:
        if each.__module__.partition(".")[0] == "celery" or not issubclass(each, celery.Task):
            continue
        own = vars(each).keys()
        if calls := sorted(own & (CALLS.keys() | {"__call__", "run"})):
            raise TypeError(
                f"{task}: its base {each.__name__} overrides {', '.join(calls)}, which the outbox "
                f"never calls: the relay sends, and the row's worker runs the body. {_HOOKS}."
            )
        if refused := own & OPTIONS.keys():
            raise TypeError(f"{task}: its base {each.__name__} sets {refuse_options(refused)}.")
