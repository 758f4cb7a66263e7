"""Claims that are given back, on a later connection if this one is lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from outbox import store
from outbox.message import Message
from outbox.models import OutboxMessage
from outbox.refunds import Refunds
from outbox.registry import AllowedTasks
from tests.message_factory import TASK, MessageFactory, as_message

pytestmark = pytest.mark.django_db


def claim(number: int) -> list[Message]:
    MessageFactory.create_batch(number)
    return store.claim_ready({"celery": number}, AllowedTasks((TASK,), ()))


@pytest.fixture
def database_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether a release finds its connection lost."""
    release = store.release
    away = False

    def lost(messages: list[Message], **options: Any) -> set[uuid.UUID]:
        if away:
            raise OperationalError("server closed the connection unexpectedly")
        return release(messages, **options)

    def switch(to: bool) -> None:
        nonlocal away
        away = to

    monkeypatch.setattr(store, "release", lost)
    return switch


def attempts() -> list[int]:
    return list(OutboxMessage.objects.order_by("received_at").values_list("attempts", flat=True))


def test_claims_are_given_back_unspent() -> None:
    refunds = Refunds()
    refunds.owe(claim(2), delay=5)
    assert attempts() == [1, 1]
    refunds.settle()
    assert attempts() == [0, 0]
    assert not OutboxMessage.objects.exclude(lease_token=None).exists()


def test_what_a_lost_connection_left_is_written_on_the_next(
    database_away: Callable[[bool], None],
) -> None:
    refunds = Refunds()
    messages = claim(2)
    database_away(True)
    for message in messages:
        refunds.owe([message])
        with pytest.raises(OperationalError):
            refunds.settle()
    assert attempts() == [1, 1]
    database_away(False)
    refunds.settle()
    assert attempts() == [0, 0]
    refunds.settle()
    assert attempts() == [0, 0], "a claim is refunded once"


def test_a_late_refund_leaves_a_message_that_another_has_claimed_meanwhile() -> None:
    row = MessageFactory(leased=True, due_in=-1)
    refunds = Refunds()
    refunds.owe([as_message(row)])
    [theirs] = store.claim_unsent_suspect(["celery"], AllowedTasks((TASK,), ()))
    refunds.settle()
    row.refresh_from_db()
    assert (row.attempts, row.lease_token) == (2, theirs.lease_token)


def test_nothing_is_owed_for_no_messages(database_away: Callable[[bool], None]) -> None:
    refunds = Refunds()
    refunds.owe([])
    database_away(True)
    refunds.settle()
