"""A message is stored with its transaction or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

import outbox
from outbox import registry
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.states import State
from tests.outbox.declaration.declared import stored


@pytest.mark.django_db(transaction=True)
def test_a_message_outside_a_transaction_is_refused(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.NotInTransaction, match=r"transaction\.atomic\(using='default'\)"):
        confirm.enqueue(order_id=7)
    with pytest.raises(outbox.NotInTransaction):
        outbox.add("order.placed", order_id=7)


@pytest.mark.django_db
def test_the_transaction_of_a_test_case_does_not_count(confirm: Task[Any]) -> None:
    """What would fail in production fails in the test, too."""
    assert connections["default"].in_atomic_block
    with pytest.raises(outbox.NotInTransaction) as refusal:
        confirm.enqueue(order_id=7)
    assert "is on" not in str(refusal.value), "the test's own transaction is nobody's mistake"


@pytest.mark.django_db(transaction=True)
def test_a_transaction_on_another_database_does_not_count_and_is_named(
    confirm: Task[Any], settings: Any
) -> None:
    connections.databases["elsewhere"] = connections["default"].settings_dict
    settings.OUTBOX = {**settings.OUTBOX, "DATABASE": "elsewhere"}
    try:
        with (
            transaction.atomic(using="default"),
            pytest.raises(outbox.NotInTransaction, match=r"'elsewhere'\) \(.* on 'default'\)"),
        ):
            confirm.enqueue(order_id=7)
    finally:
        del connections["elsewhere"], connections.databases["elsewhere"]


@pytest.mark.django_db(transaction=True)
def test_a_message_is_rolled_back_with_its_transaction(confirm: Task[Any]) -> None:
    with transaction.atomic():
        assert stored(confirm.enqueue(order_id=7))
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db
def test_a_message_starts_as_ready_or_with_a_prepare_function_as_pending(
    confirm: Task[Any],
) -> None:
    with transaction.atomic():
        ready = stored(confirm.enqueue(order_id=7))

    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> None: ...

    with transaction.atomic():
        pending = stored(confirm.enqueue(order_id=7))
    assert (ready.state, pending.state) == (State.READY, State.PENDING)
    assert ready.ready_at is not None
    assert pending.ready_at is None
    assert "order.placed" in registry.prepared_event_types()


@pytest.mark.django_db(transaction=True)
def test_the_commit_wakes_whoever_takes_the_message_on(
    confirm: Task[Any], listen: Callable[[str], Any], heard: Callable[[Any, float], bool]
) -> None:
    relay, post_processor = listen("outbox_ready"), listen("outbox_pending")
    with transaction.atomic():
        confirm.enqueue(order_id=7)
    assert heard(relay, 5)
    assert not heard(post_processor, 0)
