"""A process of the service, as the database sees it: a session, and at times a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import OperationalError, connections, transaction

from outbox import store
from outbox.exceptions import LeaseLost
from outbox.watermark import Watermark
from tests.outbox.model.own_schema import BEGIN, ENTER
from tests.outbox.model.specification import Done, Row, Try

T = TypeVar("T")

ALIAS = "default"


class Process:
    """Runs the store's verbs in its own session.

    While a transaction is open, the model has in it what only this session sees, and which rows
    are locked against the others.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.wrote: dict[UUID, Row | Done] = {}
        self.locked: set[UUID] = set()
        self.began: int | None = None
        self.hand: Try | None = None
        self.seen: dict[str, Watermark] = {}
        self.counted = False
        self.wrote_history = False
        self.taken_at = 0
        self._atomic: Any = None
        self._wrapper = connections.create_connection(ALIAS)
        self.run(lambda: store.run(ENTER))

    def __repr__(self) -> str:
        return self.name

    def run(self, verb: Callable[[], T]) -> T:
        """Have the product's code work on this session."""
        with self._at_the_wheel():
            return verb()

    def is_refused(self, verb: Callable[[], object]) -> bool:
        """Whether the verb raises, because another has the row by now or has it at the moment."""
        try:
            self.run(verb)
        except LeaseLost:
            return True
        except OperationalError as error:
            return "lock timeout" in str(error)
        return False

    @contextmanager
    def _at_the_wheel(self) -> Iterator[None]:
        before = connections[ALIAS]
        connections[ALIAS] = self._wrapper
        try:
            yield
        finally:
            connections[ALIAS] = before

    def begin(self, now: int) -> None:
        """Open a transaction, in which now() stands still."""
        self._atomic = transaction.atomic(using=ALIAS, durable=True)
        with self._at_the_wheel():
            self._atomic.__enter__()
            store.run(BEGIN)
        self.began = now

    def end(self, *, commit: bool) -> dict[UUID, Row | Done]:
        """Close it. Returns what others see of it from now on."""
        with self._at_the_wheel():
            if not commit:
                transaction.set_rollback(True, using=ALIAS)
            self._atomic.__exit__(None, None, None)
        wrote = self.wrote if commit else {}
        self.wrote, self.locked, self.began, self.hand = {}, set(), None, None
        self.wrote_history = False
        return wrote

    def close(self) -> None:
        self._wrapper.close()
