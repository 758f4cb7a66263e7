"""What a user of the outbox writes: `@outbox.task`, `enqueue`, `prepare` and `outbox.add`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec

import celery
from django.db import connections

from outbox import consumer, registry, store
from outbox.conf import outbox_settings
from outbox.exceptions import InvalidPayload, NotInTransaction, NotSendable
from outbox.payload import to_json
from outbox.states import State
from outbox.task_options import check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.transaction import Atomic

    from outbox.message import Message

P = ParamSpec("P")


class Task(Generic[P]):
    """A declared outbox task: calling it runs its body, `enqueue` stores a message for it."""

    def __init__(
        self,
        body: Callable[P, object],
        event_types: tuple[str, ...],
        *,
        name: str,
        queue: str,
        max_attempts: int | None,
        atomic: bool,
        time_limit: int | None,
    ) -> None:
        self.body = body
        self.event_types = event_types
        self.name = name
        self.queue = queue
        self.max_attempts = max_attempts
        self.atomic = atomic
        self.time_limit = time_limit
        self.prepare_function: Callable[[list[Message]], Iterable[Message] | None] | None = None
        self.parameters = inspect.signature(body)
        self.__doc__ = body.__doc__
        self.__name__ = body.__name__
        self.__module__ = body.__module__

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> object:
        """Run the body here and now, as a unit test would."""
        return self.body(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<outbox task {self.name}>"

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> Message:
        """Store a message for this task, with the transaction that is open or not at all.

        Raises `NotInTransaction` outside a transaction, `InvalidPayload` if an argument is not
        JSON, TypeError for arguments that the task does not take.
        """
        if len(self.event_types) != 1:
            raise TypeError(
                f"{self.name} serves several event types: name one, "
                f"outbox.add({self.event_types[0]!r}, ...)."
            )
        bound = self.parameters.bind(*args, **kwargs)
        return _store(self, self.event_types[0], self._as_keywords(bound))

    def _as_keywords(self, bound: inspect.BoundArguments) -> dict[str, Any]:
        payload = dict(bound.arguments)
        for name, parameter in self.parameters.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                payload.update(payload.pop(name, {}))
        return payload

    def prepare(
        self, function: Callable[[list[Message]], Iterable[Message] | None]
    ) -> Callable[[list[Message]], Iterable[Message] | None]:
        """Have messages start as pending and run `function` on batches of them.

        It runs in the transaction that marks them ready, so its effect and "ready" appear
        together. Messages it returns are given back unspent, due again in a second.
        """
        _refuse_async(function)
        self.prepare_function = function
        return function

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise NotSendable(
            f"{self.name} is an outbox task: its message is stored with the transaction that "
            f"needs it. Call {self.__name__}.enqueue(...) inside transaction.atomic(); "
            f"call {self.__name__}(...) to run its body here."
        )

    delay = apply_async = apply = delay_on_commit = apply_async_on_commit = retry = _refuse
    s = si = signature = subtask = map = starmap = chunks = _refuse


def task(
    *event_types: str,
    queue: str = "celery",
    max_attempts: int | None = None,
    atomic: bool = True,
    time_limit: int | None = None,
    **celery_options: Any,
) -> Callable[[Callable[P, object]], Task[P]]:
    """Declare a Celery task that is reached through the outbox.

    `max_attempts` bounds the tries of a step (default: MAX_ATTEMPTS); a task that kills its process
    gets one more, its first delivery not being counted in advance. `atomic=False` is for a task
    that talks to the world: no transaction, but a lease of `time_limit` + 10 seconds. Celery's
    prefork pool alone enforces that limit; a body that outlives its lease may run again. Other
    options are Celery's. Raises TypeError, at import, for what cannot work.
    """
    policy: dict[str, Any] = {
        "max_attempts": max_attempts,
        "atomic": atomic,
        "time_limit": time_limit,
    }
    check_options(event_types, **policy, others=celery_options)
    own_name = celery_options.pop("name", None)

    def declare(body: Callable[P, object]) -> Task[P]:
        _check_body(body)
        declared = Task(
            body,
            event_types,
            name=own_name or f"{body.__module__}.{body.__name__}",
            queue=queue,
            **policy,
        )
        registry.register(declared)
        _hand_to_celery(declared, celery_options)
        return declared

    return declare


def _hand_to_celery(declared: Task[Any], options: dict[str, Any]) -> None:
    """Enter the task in every Celery application of the process, under the outbox's own terms."""
    ours = {
        "name": declared.name,
        "bind": True,
        "base": consumer.OutboxTask,
        "acks_late": True,
        "reject_on_worker_lost": False,
        "retry_on_worker_lost": False,
        "ignore_result": True,
        "time_limit": declared.time_limit,
    }
    celery.shared_task(**{**options, **ours})(consumer.runner(declared))


def add(event_type: str, /, **payload: Any) -> Message:
    """Store a message of a registered event type: the untyped form of `Task.enqueue`.

    Raises `UnknownEventType`, `NotInTransaction`, `InvalidPayload`.
    """
    declared = registry.get(event_type)
    try:
        declared.parameters.bind(**payload)
    except TypeError as error:
        raise InvalidPayload(f"{declared.name} does not take this payload: {error}.") from None
    return _store(declared, event_type, payload)


def _store(declared: Task[Any], event_type: str, payload: dict[str, Any]) -> Message:
    _require_transaction()
    state = State.READY if declared.prepare_function is None else State.PENDING
    return store.add(
        event_type, declared.name, declared.queue, to_json(declared.name, payload), state=state
    )


def _require_transaction() -> None:
    alias = outbox_settings().database
    if _in_transaction(connections[alias]):
        return
    others = connections.all(initialized_only=True)
    open_elsewhere = [other.alias for other in others if _in_transaction(other)]
    hint = (
        f" (the open transaction is on {', '.join(map(repr, open_elsewhere))})"
        if open_elsewhere
        else ""
    )
    raise NotInTransaction(
        f"A message is stored together with what it tells of: do both inside "
        f"transaction.atomic(using={alias!r}){hint}."
    )


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    # A TestCase wraps each test in transactions of its own, which production code cannot rely on.
    blocks: list[Atomic] = connection.atomic_blocks
    return any(not getattr(block, "_from_testcase", False) for block in blocks)


def _refuse_async(function: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__module__}.{function.__name__} is async: it would be called and run "
            "nothing. Write a plain function."
        )


def _check_body(body: Callable[..., object]) -> None:
    _refuse_async(body)
    if inspect.isgeneratorfunction(body):
        raise TypeError(
            f"{body.__module__}.{body.__name__} is a generator: it would be called and run "
            "nothing. Write a plain function."
        )
    for parameter in inspect.signature(body).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise TypeError(
                f"{body.__module__}.{body.__name__}: {parameter.name} is positional, but the "
                "payload is the keyword arguments."
            )
