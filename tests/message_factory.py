"""Rows of the outbox in each state, as the CHECK constraints want them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import factory
from django.contrib.postgres.functions import TransactionNow

from outbox.message import Message
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import DONE, State

TASK = "tests.happened"


def seconds_from_now(seconds: float) -> Any:
    """The database's clock as the claims read it: in a test's transaction it stands still."""
    return TransactionNow() + timedelta(seconds=seconds)


class MessageFactory(factory.django.DjangoModelFactory[OutboxMessage]):
    """A live row, by default ready and due now.

    `state` may be any state, and the times follow from it. `due_in` is in seconds, as the claims
    see it. `leased=True` has it claimed for a minute, `running=True` has a worker run it without
    a transaction. A dead one died in its task, or with `unprepared=True` in its preparation.
    """

    class Meta:
        model = OutboxMessage

    class Params:
        due_in = 0.0
        sent_ago = 0.0
        unprepared = factory.Trait(ready_at=None)
        leased = factory.Trait(
            lease_token=factory.LazyFunction(uuid.uuid4), suspect=True, attempts=1, due_in=60.0
        )
        running = factory.Trait(
            leased=True,
            state=State.DISPATCHED,
            started_at=factory.LazyFunction(lambda: seconds_from_now(0)),
        )

    id = factory.LazyFunction(uuid.uuid4)
    event_type = "thing.happened"
    task = TASK
    queue = "celery"
    payload = factory.LazyFunction(dict)
    state = State.READY
    due_at = factory.LazyAttribute(lambda row: seconds_from_now(row.due_in))
    received_at = factory.LazyFunction(lambda: seconds_from_now(0))
    last_error = factory.LazyAttribute(lambda row: "it broke" if row.state == State.DEAD else "")

    @factory.lazy_attribute
    def ready_at(self: Any) -> Any:
        return None if self.state == State.PENDING else seconds_from_now(-self.sent_ago)

    @factory.lazy_attribute
    def dispatched_at(self: Any) -> Any:
        return seconds_from_now(-self.sent_ago) if self.state == State.DISPATCHED else None

    @factory.lazy_attribute
    def sends(self: Any) -> int:
        return int(self.state == State.DISPATCHED)

    @classmethod
    def _create(cls, model_class: type[OutboxMessage], *args: Any, **kwargs: Any) -> OutboxMessage:
        row = model_class(*args, **kwargs)
        row.save(force_insert=True)
        row.refresh_from_db()
        return row


class HistoryFactory(factory.django.DjangoModelFactory[HistoryMessage]):
    """A row of the history, done now; `done_at` may be any time."""

    class Meta:
        model = HistoryMessage

    id = factory.LazyFunction(uuid.uuid4)
    event_type = "thing.happened"
    task = TASK
    queue = "celery"
    attempts = 0
    sends = 1
    done_at = factory.LazyFunction(lambda: seconds_from_now(0))
    received_at = factory.SelfAttribute("done_at")
    ready_at = factory.SelfAttribute("done_at")
    dispatched_at = factory.SelfAttribute("done_at")


def as_message(row: OutboxMessage) -> Message:
    """The message that a claim of this row, as it stands, would have given."""
    return Message(
        id=row.pk,
        event_type=row.event_type,
        task=row.task,
        queue=row.queue,
        payload=row.payload,
        attempts=row.attempts,
        sends=row.sends,
        lease_token=row.lease_token,
        suspect=row.suspect,
    )


def state_of(message_id: uuid.UUID) -> str:
    """The state of a message: a live one, `done` in the history, or `gone`."""
    row = OutboxMessage.objects.filter(pk=message_id).first()
    if row is not None:
        return row.state
    return DONE if HistoryMessage.objects.filter(pk=message_id).exists() else "gone"
