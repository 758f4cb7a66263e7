"""A transactional outbox for Django, Celery and PostgreSQL.

Names are loaded when they are first used: importing a model while Django still loads its apps
would fail.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox.backoff import Backoff as Backoff
    from outbox.celery_task import BoundTask as BoundTask
    from outbox.chores import chore as chore
    from outbox.current import current_message as current_message
    from outbox.declaration import task as task
    from outbox.entry import add as add
    from outbox.exceptions import InvalidPayload as InvalidPayload
    from outbox.exceptions import LeaseLost as LeaseLost
    from outbox.exceptions import NotInTransaction as NotInTransaction
    from outbox.exceptions import NotSendable as NotSendable
    from outbox.exceptions import OutboxError as OutboxError
    from outbox.exceptions import Permanent as Permanent
    from outbox.exceptions import UnknownEventType as UnknownEventType
    from outbox.message import Message as Message
    from outbox.pruning import prune as prune
    from outbox.routers import primary as primary

_HOMES = {
    "Backoff": "backoff",
    "BoundTask": "celery_task",
    "InvalidPayload": "exceptions",
    "LeaseLost": "exceptions",
    "Message": "message",
    "NotInTransaction": "exceptions",
    "NotSendable": "exceptions",
    "OutboxError": "exceptions",
    "Permanent": "exceptions",
    "UnknownEventType": "exceptions",
    "add": "entry",
    "chore": "chores",
    "current_message": "current",
    "primary": "routers",
    "prune": "pruning",
    "task": "declaration",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names are data here


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'outbox' has no attribute {name!r}")
    return getattr(import_module(f"outbox.{_HOMES[name]}"), name)
