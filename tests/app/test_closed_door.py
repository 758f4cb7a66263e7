"""What a door that is closed answers, and that it costs no query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection
from django.test import Client

from app import door, health, metrics
from app.admission import STALE_SECONDS, Admission, Closed, Limits, Sample
from outbox import waiting
from outbox.models import OutboxMessage
from tests.app.problems import problem_of
from tests.factories import Delivery, event, signed_delivery
from tests.message_factory import MessageFactory
from tests.relay.tcp_proxy import TcpProxy
from tests.side_proxy import beside_django
from tests.sql import query
from tests.waiting import eventually

Send = Callable[[Delivery], Any]
LIMITS = Limits(backlog=3, late=60.0)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[door.Watch]:
    """The door of this process, watched over by hand: `sample` takes a sample."""
    watch = door.Watch(Admission(LIMITS))
    monkeypatch.setattr(door, "_watch", watch)
    yield watch
    watch.stop()


@pytest.fixture
def full(watch: door.Watch) -> None:
    watch.admission.sampled(Sample(3, 0.0), watch.admission.mark())


@pytest.mark.usefixtures("full")
def test_a_full_backlog_answers_503_without_a_query(
    send: Send, db: None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        answer = send(signed_delivery())
    assert problem_of(answer, 503)["type"] == "urn:problem-type:pillarbox:overloaded"
    assert int(answer["Retry-After"]) >= 1


@pytest.mark.usefixtures("full")
def test_senders_are_not_asked_to_come_back_all_at_once(send: Send) -> None:
    asked = {int(send(signed_delivery())["Retry-After"]) for _ in range(50)}
    assert len(asked) > 1
    assert asked <= set(range(30, 61))


def test_a_database_that_is_away_answers_503_without_a_query(
    send: Send, watch: door.Watch, db: None, django_assert_num_queries: Any
) -> None:
    watch.admission.lost()
    with django_assert_num_queries(0):
        answer = send(signed_delivery())
        ready = Client().get("/readyz")
    assert problem_of(answer, 503)["type"] == "urn:problem-type:pillarbox:database-away"
    assert int(answer["Retry-After"]) >= 1
    assert ready.status_code == 503
    assert ready.json()["checks"] == {
        "database": "unreachable",
        "migrations": "unknown",
        "admission": "database",
    }


@pytest.mark.usefixtures("full")
def test_method_and_size_are_told_first_and_nothing_else(send: Send, settings: Any) -> None:
    url = "/webhooks/posts/"
    assert Client().get(url).status_code == 405
    assert Client().post(url, b"{", content_type="text/plain").status_code == 503
    settings.WEBHOOK_MAX_BODY_BYTES = 10
    assert send(signed_delivery()).status_code == 413


@pytest.mark.django_db(transaction=True)
def test_an_open_door_costs_no_query(
    send: Send, watch: door.Watch, django_assert_num_queries: Any
) -> None:
    asked: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        assert send(signed_delivery()).status_code == 202
        watched, asked = asked, []
        door.stop()
        assert send(signed_delivery(event(source_id="other"))).status_code == 202
    assert watched == asked


@pytest.mark.django_db(transaction=True)
def test_no_more_is_accepted_between_two_samples_than_there_is_room_for(
    send: Send, watch: door.Watch
) -> None:
    watch.sample()
    first = signed_delivery(event(source_id="0"))
    assert [send(each).status_code for each in (first, first, first)] == [202, 202, 202]
    more = [send(signed_delivery(event(source_id=str(n)))).status_code for n in range(1, 4)]
    assert more == [202, 202, 503]
    watch.sample()
    assert watch.admission.last.waiting == 3
    assert send(first).status_code == 503, "a duplicate is refused too"
    OutboxMessage.objects.all()[0].delete()
    watch.sample()
    assert send(first).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_readyz_names_what_closes_it(watch: door.Watch) -> None:
    watch.sample()
    assert Client().get("/readyz").json()["checks"]["admission"] == "ok"
    MessageFactory.create_batch(3)
    watch.sample()
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["admission"] == "backlog"


@pytest.mark.django_db(transaction=True)
def test_a_server_that_lets_no_sample_through_is_not_told_as_unreachable(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    watch = door.Watch(Admission(LIMITS, lambda: now[0]))
    monkeypatch.setattr(door, "_watch", watch)
    monkeypatch.setattr(health, "readiness", health.Readiness())
    query("BEGIN; LOCK TABLE outbox_message")
    try:
        now[0] += STALE_SECONDS + 0.1
        watch.sample()
    finally:
        query("ROLLBACK")
    checks = {"database": "ok", "migrations": "ok", "admission": "no_sample"}
    ready = Client().get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (503, checks)
    assert send(signed_delivery()).json()["type"] == "urn:problem-type:pillarbox:database-away"
    watch.sample()
    assert watch.admission.closed() is None
    watch.stop()


@pytest.mark.django_db(transaction=True)
def test_a_sampler_outlives_what_it_cannot_tell(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[object] = []

    def tell(*arguments: object) -> None:
        told.append(arguments)
        if len(told) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "tell_admission", tell)
    monkeypatch.setattr(door, "INTERVAL_SECONDS", 0.01)
    watch = door.Watch(Admission(LIMITS))
    watch.start()
    try:
        eventually(lambda: len(told) > 2, 20)
    finally:
        watch.stop()
    assert watch.admission.closed() is None
    assert "No space left on device" in caplog.text


@pytest.fixture
def proxy(transactional_db: None) -> Iterator[TcpProxy]:
    """What stands between the samples and the database."""
    with beside_django() as proxy:
        yield proxy


def test_a_session_that_died_is_replaced_and_nobody_is_refused(
    watch: door.Watch, proxy: TcpProxy
) -> None:
    watch.sample()
    proxy.cut()
    watch.sample()
    assert watch.admission.closed() is None
    assert proxy.accepted == 2


def test_a_port_that_refuses_closes_it_and_the_first_good_sample_opens_it(
    watch: door.Watch, proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    watch.sample()
    proxy.refuse()
    watch.sample()
    watch.sample()
    assert watch.admission.closed() is Closed.DATABASE
    proxy.listen()
    watch.sample()
    assert watch.admission.closed() is None
    told = [record.getMessage() for record in caplog.records if "admission." in record.getMessage()]
    assert len(told) == 2
    assert told[0].startswith("admission.closed, database: ")
    assert "refused" in told[0]
    assert told[1] == "admission.open"


def test_a_server_that_is_frozen_closes_it_and_the_first_good_sample_opens_it(
    proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(door, "CONNECT_SECONDS", 0.2)
    watch = door.Watch(Admission(LIMITS))
    watch.sample()
    proxy.freeze()
    watch.sample()
    assert watch.admission.closed() is Closed.DATABASE
    proxy.thaw()
    monkeypatch.undo()
    watch.sample()
    watch.stop()
    assert watch.admission.closed() is None


def test_a_statement_that_fails_closes_nothing_at_once(
    watch: door.Watch, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    """A migration may hold the table for a moment: only when no sample comes at all it closes."""
    watch.sample()

    def cancelled(*_: object) -> None:
        raise psycopg2.errors.QueryCanceled("canceling statement due to statement timeout")

    monkeypatch.setattr(waiting.Waiting, "sample", cancelled)
    watch.sample()
    assert watch.admission.closed() is None


def test_a_fault_of_ours_ends_no_thread(
    watch: door.Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting.Waiting, "sample", lambda *_: 1 / 0)
    watch.sample()
    assert "division by zero" in caplog.text
