"""A stand-in for the broker's answers, and the rows around a relay."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

import outbox
from outbox.models import OutboxMessage
from relay.dispatcher import Dispatcher
from relay.outcome import Outcome
from relay.publisher import Publisher

committed = pytest.mark.django_db(transaction=True)


class Broker:
    """Stands in for the publisher: it keeps what it is given and answers as the test says."""

    def __init__(self) -> None:
        self.batches: list[list[outbox.Message]] = []
        self.answer: Callable[[Sequence[outbox.Message]], Outcome] = confirm
        self.transactions: list[tuple[bool, int]] = []

    def start(self, messages: Sequence[outbox.Message]) -> Outcome:
        self.batches.append([*messages])
        self._note_transaction()
        return self.answer(messages)

    def finish(self, sending: Outcome) -> Outcome:
        self._note_transaction()
        return sending

    def _note_transaction(self) -> None:
        raw: Any = connection.connection
        self.transactions.append((connection.in_atomic_block, raw.info.transaction_status))

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    @property
    def sent(self) -> list[uuid.UUID]:
        return [message.id for batch in self.batches for message in batch]


def confirm(messages: Sequence[outbox.Message]) -> Outcome:
    return Outcome(confirmed={message.id for message in messages})


def refuse(messages: Sequence[outbox.Message]) -> Outcome:
    return Outcome(refused={message.id: "no queue takes it" for message in messages})


def away(_messages: Sequence[outbox.Message]) -> Outcome:
    return Outcome(outage="connection refused")


def relay(broker: Broker, batch_size: int = 10) -> Dispatcher:
    return Dispatcher(cast("Publisher", broker), batch_size=batch_size)


def row(message_id: uuid.UUID) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message_id)


def make_due() -> None:
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    OutboxMessage.objects.update(due_at=long_ago)


def end_own_session() -> None:
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@contextlib.contextmanager
def lost_connection() -> Iterator[None]:
    """The block ends because its connection is lost; the poller closes it then."""
    try:
        with pytest.raises((OperationalError, InterfaceError)):
            yield
    finally:
        connection.close()
