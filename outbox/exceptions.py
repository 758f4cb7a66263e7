"""What the outbox raises."""

from __future__ import annotations


class OutboxError(Exception):
    """Base of the outbox's own errors. Not raised itself."""


class NotInTransaction(OutboxError):
    """A message was added outside a transaction on the outbox's database."""


class UnknownEventType(OutboxError):
    """No task is registered for the event type."""


class InvalidPayload(OutboxError):
    """The payload is not JSON, or the task would not take it as its arguments."""


class NotSendable(OutboxError):
    """An outbox task was sent by Celery's own means, or its message came from elsewhere."""


class LeaseLost(OutboxError):
    """Another process has taken the message since: the write was refused."""


class Permanent(OutboxError):
    """Raise it in a task or a prepare function: trying again is useless, bury the message now."""
