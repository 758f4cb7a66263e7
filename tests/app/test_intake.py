"""The intake against a real server: commits, races and lost connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from app.ledger import Acceptance, Delivery, OtherBody
from app.models import Post, WebhookDelivery
from app.payload import parse
from app.webhook import record
from outbox.models import OutboxMessage
from tests.factories import event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.factories import Delivery as Signed

    Send = Callable[[Signed], Any]

pytestmark = pytest.mark.django_db(transaction=True)


def accept(body: bytes) -> Acceptance:
    """Take in a delivery of the id msg_1."""
    return record(Delivery("msg_1", datetime.now(UTC), body, parse(body)))


def test_fifty_equal_deliveries_at_once_are_one_message_and_fifty_equal_answers(
    send: Send,
) -> None:
    delivery = signed_delivery()
    together = Barrier(50, timeout=20)

    def deliver(_: int) -> tuple[int, bytes]:
        together.wait()
        try:
            response = send(delivery)
            return response.status_code, response.content
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(deliver, range(50)))
    assert len(answers) == 1
    assert answers.pop()[0] == 202
    assert OutboxMessage.objects.count() == 1
    assert WebhookDelivery.objects.get().message_id == OutboxMessage.objects.get().pk


def test_one_id_with_different_bodies_at_once_has_one_winner(send: Send) -> None:
    deliveries = [
        signed_delivery(event(source_id=f"post-{n}"), webhook_id="msg_1") for n in range(10)
    ]
    together = Barrier(10, timeout=20)

    def deliver(delivery: Signed) -> int:
        together.wait()
        try:
            return int(send(delivery).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(deliver, deliveries))
    assert statuses == [202] + [409] * 9
    assert Post.everything.count() == OutboxMessage.objects.count() == 1


def test_many_deliveries_of_one_new_post_at_once_all_get_in(send: Send) -> None:
    together = Barrier(10, timeout=20)

    def deliver(_: int) -> int:
        together.wait()
        try:
            return int(send(signed_delivery()).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(deliver, range(10))) == {202}
    assert Post.everything.count() == 1
    assert OutboxMessage.objects.count() == WebhookDelivery.objects.count() == 10


def test_a_duplicate_waits_for_the_first_and_takes_its_place_if_that_rolls_back(
    wait_until_blocked: Callable[[], None],
) -> None:
    body = signed_delivery().body
    answers: list[Acceptance] = []

    def deliver() -> None:
        try:
            answers.append(accept(body))
        finally:
            connections.close_all()

    second = Thread(target=deliver)
    with transaction.atomic():
        WebhookDelivery.objects.create(webhook_id="msg_1", digest=bytes(32), message_id=SOME_ID)
        second.start()
        wait_until_blocked()
        transaction.set_rollback(True)
    second.join(timeout=10)
    assert WebhookDelivery.objects.get().message_id == answers[0].message_id
    assert OutboxMessage.objects.get().pk == answers[0].message_id


def test_a_row_that_leaves_the_ledger_between_the_two_looks_is_accepted_anew() -> None:
    body = signed_delivery().body
    WebhookDelivery.objects.create(webhook_id="msg_1", digest=bytes(32), message_id=SOME_ID)
    looked = Event()

    def forget(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "SELECT digest" in sql and not looked.is_set():
            looked.set()
            WebhookDelivery.objects.all().delete()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(forget):
        accepted = accept(body)
    assert looked.is_set()
    assert OutboxMessage.objects.get().pk == accepted.message_id


def test_another_body_under_a_known_id_leaves_nothing_behind() -> None:
    first = signed_delivery(event(title="one")).body
    other = signed_delivery(event("post.updated", "post-2", title="two")).body
    accept(first)
    with pytest.raises(OtherBody):
        accept(other)
    assert OutboxMessage.objects.count() == Post.everything.count() == 1


def test_an_intake_inside_another_transaction_is_refused() -> None:
    body = signed_delivery().body
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        accept(body)


def test_an_intake_whose_connection_is_killed_answers_503_and_the_retry_202(send: Send) -> None:
    delivery = signed_delivery()

    def kill(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "INSERT INTO app_delivery" in sql:
            pid = connection.connection.info.backend_pid
            with ThreadPoolExecutor(1) as pool:
                pool.submit(terminate, pid).result(timeout=10)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(kill):
        response = send(delivery)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert not WebhookDelivery.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert send(delivery).status_code == 202


def test_a_server_that_is_read_only_answers_503(send: Send) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert send(signed_delivery()).status_code == 503
    finally:
        connection.close()


def test_a_lock_that_is_not_to_be_had_in_time_answers_503(send: Send) -> None:
    delivery = signed_delivery(webhook_id="msg_1")

    def deliver() -> int:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
            return int(send(delivery).status_code)
        finally:
            connections.close_all()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        WebhookDelivery.objects.create(webhook_id="msg_1", digest=bytes(32), message_id=SOME_ID)
        assert pool.submit(deliver).result(timeout=10) == 503


SOME_ID = "6f1dc0de-0000-4000-8000-000000000000"


def terminate(pid: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    finally:
        connections.close_all()


def test_the_error_of_a_ledger_that_never_settles_is_the_databases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.group_commit.store_arrival", lambda *_: None)
    body = signed_delivery().body
    with pytest.raises(OperationalError):
        accept(body)
