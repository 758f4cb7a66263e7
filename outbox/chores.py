"""Chores: what else `manage.py outbox maintain` does each hour, registered by the apps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Act = Callable[[], int]

logger = logging.getLogger(__name__)

_chores: dict[str, Act] = {}


@dataclass(frozen=True, slots=True)
class Done:
    """How one chore went."""

    name: str
    removed: int = 0
    error: Exception | None = None


def chore(name: str) -> Callable[[Act], Act]:
    """Have a function called by `manage.py outbox maintain`; it returns how many rows it removed.

    `name` says what is removed, as in "old comments". Put it into a module that the app's `ready`
    imports. The function is called outside a transaction, under the role that owns the tables, and
    ends within a minute or so: `outbox.prune` does. What it leaves, the next run takes. If it
    raises, the other chores run all the same, and the command fails.

    Raises ImproperlyConfigured if another function has the name.
    """

    def register(act: Act) -> Act:
        if _chores.setdefault(name, act) is not act:
            raise ImproperlyConfigured(f"Two chores of the outbox are named {name!r}.")
        return act

    return register


def unregister(name: str) -> None:
    """Take a chore out again, as tests do with those that they register."""
    _chores.pop(name, None)


def run() -> Iterator[Done]:
    """Call each chore, in the order in which they were registered, and tell how it went."""
    for name, act in _chores.items():
        yield _call(name, act)


def _call(name: str, act: Act) -> Done:
    try:
        return Done(name, _rows(act()))
    except Exception as error:
        logger.exception("outbox.chore %r failed", name)
        return Done(name, error=error)
    finally:
        # It may have failed with its connection, or have left a transaction open.
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()


def _rows(removed: object) -> int:
    if not isinstance(removed, int):
        raise TypeError(f"a chore returns how many rows it removed, not {removed!r}")
    return removed
