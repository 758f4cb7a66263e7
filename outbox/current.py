"""Which message is being worked on here."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outbox.message import Message

_current: ContextVar[Message | None] = ContextVar("outbox_current_message", default=None)


def current_message() -> Message:
    """The message whose task is running. Raises LookupError outside of one."""
    message = _current.get()
    if message is None:
        raise LookupError("No outbox task is running here.")
    return message


@contextmanager
def working(message: Message) -> Iterator[None]:
    """Have `current_message` return this one in the block."""
    context = _current.set(message)
    try:
        yield
    finally:
        _current.reset(context)
