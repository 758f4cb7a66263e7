"""Where messages enter the outbox: checked, and inside a transaction or not at all."""

from __future__ import annotations

import uuid
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from outbox import registry, store
from outbox.conf import outbox_settings
from outbox.exceptions import InvalidPayload, NotInTransaction
from outbox.message import Draft
from outbox.payload import to_json
from outbox.refusals import hint_for_arguments

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.transaction import Atomic

    from outbox.declaration import Task
    from outbox.message import Message

CHUNK = 1_000
"""Messages that one INSERT brings in."""


def add(event_type: str, /, **payload: Any) -> Message:
    """Store a message of a registered event type: the untyped form of `Task.enqueue`.

    Raises `UnknownEventType`, `NotInTransaction`, `InvalidPayload`.
    """
    declared = registry.get(event_type)
    _check_names(declared, tuple(payload))
    return add_one(declared, event_type, payload)


def draft(event_type: str, payload: dict[str, Any]) -> Draft:
    """Check a message that `store.add_accepted` is to insert, which `add` would insert by itself.

    Raises as `add` does, but for the transaction.
    """
    declared = registry.get(event_type)
    _check_names(declared, tuple(payload))
    text = to_json(declared.name, payload)
    state = registry.first_state(event_type)
    return Draft(uuid.uuid4(), event_type, declared.name, _queue_of(declared), text, state)


def add_one(declared: Task[Any], event_type: str, payload: dict[str, Any]) -> Message:
    """Store a message whose payload fits its task."""
    _require_transaction()
    text = to_json(declared.name, payload)
    return store.add(
        event_type, declared.name, declared.queue, text, state=registry.first_state(event_type)
    )


def add_many(declared: Task[Any], items: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Store a message for each item, or none at all if one is wrong."""
    _require_transaction()
    event_type = declared.only_event_type()
    texts = _texts(declared, items)
    messages: list[Message] = []
    # A savepoint: of a list that is found wrong in a later chunk nothing stays.
    with transaction.atomic(using=outbox_settings().database):
        while chunk := list(islice(texts, CHUNK)):
            messages += store.add_many(
                event_type,
                declared.name,
                declared.queue,
                chunk,
                state=registry.first_state(event_type),
            )
    return messages


def _texts(declared: Task[Any], items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for index, item in enumerate(items):
        try:
            yield to_json(declared.name, keywords(declared, (), dict(item)))
        except (TypeError, InvalidPayload) as error:
            raise type(error)(f"item {index}: {error}") from None


def keywords(
    declared: Task[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a task by name. Raises TypeError for those that it does not take."""
    try:
        bound: inspect.BoundArguments = declared.parameters.bind(*args, **kwargs)
    except TypeError as error:
        hint = hint_for_arguments(set(kwargs) - declared.parameters.parameters.keys())
        raise TypeError(f"{declared.name}: {error}.{hint}") from None
    payload = dict(bound.arguments)
    for name, parameter in declared.parameters.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            payload.update(payload.pop(name, {}))
    return payload


@lru_cache(maxsize=1_000)
def _check_names(declared: Task[Any], names: tuple[str, ...]) -> None:
    """See that a task takes these arguments: the same names in most of its messages."""
    try:
        declared.parameters.bind(**dict.fromkeys(names))
    except TypeError as error:
        raise InvalidPayload(f"{declared.name} does not take this payload: {error}.") from None


@lru_cache(maxsize=1_000)
def _queue_of(declared: Task[Any]) -> str:
    """Its queue: to ask Celery's settings takes as long as all else that makes a draft."""
    return declared.queue


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
