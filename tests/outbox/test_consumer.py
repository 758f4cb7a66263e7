"""The task's side: effect and receipt commit together, or neither does."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import celery
import pytest
from celery.worker.request import Request
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.transaction import Atomic
from django.utils import timezone

import outbox
from app.models import Tag
from outbox import consumer, registry, store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import DONE, State
from relay.publisher import Publisher
from tests.conftest import Declare
from tests.message_factory import state_of
from tests.outbox import mortal
from tests.service import database_url
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

Raw = Callable[[], Any]


class Body:
    """A task's body that leaves an effect, and then does what the test tells it."""

    def __init__(self) -> None:
        self.runs: list[outbox.Message] = []
        self.then: Callable[[], Any] = lambda: None

    def __call__(self, order_id: int) -> Any:
        self.runs.append(outbox.current_message())
        Tag.objects.create(name=f"effect of {order_id}, {len(self.runs)}")
        return self.then()


def effects() -> int:
    return Tag.objects.count()


@pytest.fixture
def body() -> Body:
    return Body()


@pytest.fixture
def task(declare: Declare, body: Body) -> Task[Any]:
    @declare("order.placed", max_attempts=3)
    def confirm(order_id: int) -> Any:
        return body(order_id)

    return confirm


@pytest.fixture
def leased(declare: Declare, body: Body) -> Task[Any]:
    """A task that runs without a transaction."""

    @declare("order.charge", max_attempts=3, atomic=False, time_limit=50)
    def charge(order_id: int) -> Any:
        return body(order_id)

    return charge


def enqueue(task: Task[Any]) -> outbox.Message:
    with transaction.atomic():
        message = task.enqueue(order_id=7)
    wait_over(message)
    return message


def claim() -> outbox.Message:
    """What the relay does before it sends."""
    (message,) = store.claim_ready({"celery": 1}, registry.allowed_tasks())
    return message


def sent(task: Task[Any]) -> outbox.Message:
    """A message that the relay has sent and marked."""
    enqueue(task)
    message = claim()
    assert store.mark_dispatched([message])
    return message


def row(message: outbox.Message) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message.id)


def wait_over(message: outbox.Message) -> None:
    """As if the lease, or the wait for the next try, were over: also for a claim in this test's
    transaction, whose clock stands still."""
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    OutboxMessage.objects.filter(pk=message.id).update(due_at=long_ago)


def seconds_until_due(message: outbox.Message) -> float:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM due_at - clock_timestamp()) FROM outbox_message"
            " WHERE id = %s",
            [message.id],
        )
        return float(cursor.fetchone()[0])


def snapshot(message: outbox.Message) -> dict[str, Any]:
    return OutboxMessage.objects.filter(pk=message.id).values().get()


class Failed(Exception):
    pass


def fail() -> None:
    raise Failed("out of paper")


# A good end


@committed
def test_a_task_is_run_once_and_moves_its_row_to_the_history(task: Task[Any], body: Body) -> None:
    message = sent(task)

    assert consume(task, message.id, again=False) == "done"

    done = HistoryMessage.objects.get(pk=message.id)
    assert not OutboxMessage.objects.exists()
    assert (done.event_type, done.task, done.queue) == ("order.placed", task.name, "celery")
    assert (done.attempts, done.sends) == (0, 1)
    assert done.received_at <= done.ready_at <= done.dispatched_at <= done.done_at
    assert (effects(), len(body.runs)) == (1, 1)


def test_a_duplicate_finds_nothing_to_do(task: Task[Any], body: Body) -> None:
    message = sent(task)
    assert consume(task, message.id, again=False) == "done"
    assert consume(task, message.id, again=False) == "already_done"
    assert consume(task, message.id, again=True) == "already_done"
    assert (effects(), HistoryMessage.objects.count()) == (1, 1)


def test_a_worker_may_be_faster_than_the_relays_mark(task: Task[Any], body: Body) -> None:
    enqueue(task)
    message = claim()
    assert consume(task, message.id, again=False) == "done"
    assert store.mark_dispatched([message]) == set()
    done = HistoryMessage.objects.get()
    assert done.dispatched_at is not None
    assert (done.attempts, done.sends) == (0, 1), "as if the mark had come first"


@committed
def test_effect_and_receipt_appear_together(task: Task[Any], body: Body, connect: Raw) -> None:
    message = sent(task)
    seen: list[tuple[int, int]] = []

    def look() -> None:
        with connect().cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM app_tag), (SELECT count(*) FROM outbox_history)"
            )
            seen.append(cursor.fetchone())

    body.then = look
    assert consume(task, message.id, again=False) == "done"
    look()
    assert seen == [(0, 0), (1, 1)]


def test_the_body_knows_its_message(task: Task[Any], body: Body) -> None:
    message = sent(task)
    assert consume(task, message.id, again=False) == "done"
    (seen,) = body.runs
    assert (seen.id, seen.event_type, seen.payload) == (message.id, "order.placed", {"order_id": 7})
    assert (seen.sends, seen.attempts) == (1, 1)
    with pytest.raises(LookupError):
        outbox.current_message()


@pytest.mark.parametrize("fails", [False, True])
def test_a_follow_up_is_stored_with_the_effect_or_not_at_all(
    task: Task[Any], leased: Task[Any], body: Body, fails: bool
) -> None:
    def enqueue_another() -> None:
        leased.enqueue(order_id=8)
        if fails:
            raise Failed

    body.then = enqueue_another
    message = sent(task)
    if fails:
        with pytest.raises(Failed):
            consume(task, message.id, again=False)
    else:
        consume(task, message.id, again=False)
    follow_ups = OutboxMessage.objects.filter(event_type="order.charge")
    assert follow_ups.count() == (0 if fails else 1)


# Not to be run


@pytest.mark.parametrize("again", [False, True])
def test_what_is_not_wanted_is_left_as_it_is(
    task: Task[Any], body: Body, declare: Declare, again: bool
) -> None:
    task.prepare(lambda messages: None)
    pending = enqueue(task)
    task.prepare_function = None
    dead = enqueue(task)
    store.fail(claim(), "no", delay=0, max_attempts=0)
    retried = sent(task)
    body.then = fail
    with pytest.raises(Failed):
        consume(task, retried.id, again=False)
    OutboxMessage.objects.filter(pk=retried.id).update(
        due_at=timezone.now() + dt.timedelta(seconds=60)
    )
    assert [row(m).state for m in (pending, dead, retried)] == ["pending", "dead", "ready"]

    for message in (pending, dead, retried):
        before = snapshot(message)
        assert consume(task, message.id, again=again) == "not_wanted"
        assert snapshot(message) == before
    assert len(body.runs) == 1, "the retried one's first try"


def test_an_unknown_message_is_one_that_is_done(task: Task[Any]) -> None:
    assert consume(task, uuid.uuid4(), again=True) == "already_done"


@pytest.mark.parametrize("again", [False, True])
@committed
def test_a_message_that_another_worker_runs_is_left_to_it(
    task: Task[Any], body: Body, connect: Raw, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    monkeypatch.setattr(consumer, "LOCK_TIMEOUT", "50ms")
    message = sent(task)
    before = snapshot(message)
    with connect().cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT FROM outbox_message FOR UPDATE")
        assert consume(task, message.id, again=again) == "busy"
        other.execute("ROLLBACK")
    assert snapshot(message) == before
    assert consume(task, message.id, again=again) == "done"


@committed
def test_a_short_lock_is_waited_for(task: Task[Any], connect: Raw) -> None:
    """The relay's mark locks the row at just the moment when the worker starts."""
    message = sent(task)
    outcomes: list[str] = []

    def work() -> None:
        try:
            outcomes.append(consume(task, message.id, again=False))
        finally:
            connections.close_all()

    with connect().cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT FROM outbox_message FOR NO KEY UPDATE")
        worker = threading.Thread(target=work)
        worker.start()
        eventually(_someone_waits_for_a_lock)
        other.execute("COMMIT")
    worker.join(10)
    assert outcomes == ["done"]


def _someone_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_the_bodys_own_statements_wait_as_long_as_the_session_lets_them(
    task: Task[Any], body: Body
) -> None:
    limits = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            limits.append(cursor.fetchone()[0])

    body.then = look
    look()
    consume(task, sent(task).id, again=False)
    assert limits[0] == limits[1] != consumer.LOCK_TIMEOUT


# A bad end


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not yet marked"])
def test_an_exception_undoes_the_body_and_schedules_the_retry(
    task: Task[Any], body: Body, marked: bool
) -> None:
    body.then = fail
    enqueue(task)
    message = claim()
    if marked:
        store.mark_dispatched([message])

    with pytest.raises(Failed, match="out of paper"):
        consume(task, message.id, again=False)

    left = row(message)
    assert effects() == 0
    assert (left.state, left.attempts, left.lease_token) == (State.READY, 1, None)
    assert (left.suspect, left.dispatched_at) == (False, None)
    assert left.last_error.startswith("Traceback")
    assert left.last_error.rstrip().endswith("Failed: out of paper")
    assert -1 <= seconds_until_due(message) <= 4
    assert body.runs[0].attempts == 1
    if not marked:
        assert store.mark_dispatched([message]) == set(), "a late mark must not undo the retry"
        assert row(message).state == State.READY


@committed
def test_error_and_undone_effect_are_one_transaction(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    """Between two transactions a duplicate would take the row and run at once."""
    message = sent(task)
    body.then = fail
    written: list[bool] = []
    real = store.fail_try

    def fail_try(*arguments: Any, **keywords: Any) -> State:
        state = real(*arguments, **keywords)
        with connect().cursor() as other:
            other.execute("SELECT count(*) FROM outbox_message WHERE last_error <> ''")
            written.append(bool(other.fetchone()[0]))
            other.execute("SELECT FROM outbox_message FOR UPDATE SKIP LOCKED")
            written.append(bool(other.fetchall()))
        return state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "fail_try", fail_try)
        with pytest.raises(Failed):
            consume(task, message.id, again=False)
    assert written == [False, False], "not visible yet, and still locked"
    assert row(message).last_error


def test_a_task_that_keeps_failing_is_dead_after_its_attempts(task: Task[Any], body: Body) -> None:
    body.then = fail
    message = sent(task)
    counted = []
    for again in (False, True, False):
        with pytest.raises(Failed):
            consume(task, message.id, again=again)
        counted.append((row(message).attempts, row(message).state))
        wait_over(message)
    assert counted == [(1, "ready"), (2, "ready"), (3, "dead")]
    assert [run.attempts for run in body.runs] == [1, 2, 3]
    assert "out of paper" in row(message).last_error
    assert consume(task, message.id, again=True) == "not_wanted"


def test_the_setting_bounds_a_task_without_a_number_of_its_own(
    task: Task[Any], body: Body, settings: Any
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "MAX_ATTEMPTS": 1}
    task.max_attempts = None
    body.then = fail
    message = sent(task)
    with pytest.raises(Failed):
        consume(task, message.id, again=False)
    assert row(message).state == State.DEAD


@pytest.mark.parametrize("again", [False, True])
def test_permanent_is_dead_at_once(task: Task[Any], body: Body, again: bool) -> None:
    def give_up() -> None:
        raise outbox.Permanent("no such order")

    body.then = give_up
    message = sent(task)
    with pytest.raises(outbox.Permanent):
        consume(task, message.id, again=again)
    left = row(message)
    assert (left.state, left.attempts) == (State.DEAD, 1)
    assert "no such order" in left.last_error
    assert effects() == 0


@pytest.mark.parametrize("error", [Failed(), Failed("nul \x00"), Failed("half \ud83d")])
def test_any_error_can_be_written(task: Task[Any], body: Body, error: Exception) -> None:
    def raise_it() -> None:
        raise error

    body.then = raise_it
    message = sent(task)
    with pytest.raises(Failed):
        consume(task, message.id, again=False)
    assert row(message).attempts == 1


async def coroutine() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("lazy", [coroutine, generator, async_generator])
def test_a_body_that_returns_work_undone_has_failed(
    task: Task[Any], body: Body, lazy: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    body.then = lazy
    message = sent(task)
    with pytest.raises(outbox.Permanent, match="its work was not done"):
        consume(task, message.id, again=False)
    assert (row(message).state, effects()) == (State.DEAD, 0)


def test_a_constraint_that_fails_at_the_commit_is_a_failure_like_any_other(
    task: Task[Any], body: Body
) -> None:
    def link_to_nothing() -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO app_post_tags (post_id, tag_id) VALUES (-1, -1)")

    body.then = link_to_nothing
    message = sent(task)
    with pytest.raises(IntegrityError):
        consume(task, message.id, again=False)
    left = row(message)
    assert (left.state, left.attempts, effects()) == (State.READY, 1, 0)
    assert "app_post_tags" in left.last_error


def test_a_body_that_swallows_a_database_error_has_failed(task: Task[Any], body: Body) -> None:
    def swallow() -> None:
        with pytest.raises(DatabaseError):
            connection.cursor().execute("SELECT 1/0")

    body.then = swallow
    message = sent(task)
    with pytest.raises(DatabaseError):
        consume(task, message.id, again=False)
    assert (row(message).attempts, effects()) == (1, 0)


def end_own_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@committed
def test_a_body_that_loses_the_connection_leaves_everything_as_it_was(
    task: Task[Any], body: Body
) -> None:
    body.then = end_own_session
    message = sent(task)
    before = snapshot(message)

    with pytest.raises(OperationalError) as failure:
        consume(task, message.id, again=False)

    assert "closed the connection" in str(failure.value), "the body's own error, not a later one"
    assert snapshot(message) == before
    assert effects() == 0
    body.then = lambda: None
    assert consume(task, message.id, again=True) == "done", "on a new connection"


@committed
def test_a_body_that_hides_the_loss_of_the_connection_has_no_effect(
    task: Task[Any], body: Body
) -> None:
    def lose_and_hide() -> None:
        with pytest.raises(DatabaseError):
            end_own_session()

    body.then = lose_and_hide
    message = sent(task)
    with pytest.raises(InterfaceError):
        consume(task, message.id, again=False)
    assert (state_of(message.id), effects()) == ("dispatched", 0)


# A message that may have been handed out before


@committed
def test_a_first_delivery_is_not_counted_before_the_body(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    assert _attempts_while_it_runs(task, body, connect, again=False) == 0


@committed
def test_a_later_delivery_is_counted_and_committed_before_the_body(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    assert _attempts_while_it_runs(task, body, connect, again=True) == 1
    assert HistoryMessage.objects.get().attempts == 0, "the try that ended well is no failed one"


def _attempts_while_it_runs(task: Task[Any], body: Body, connect: Raw, *, again: bool) -> int:
    message = sent(task)
    seen = []

    def look() -> None:
        with connect().cursor() as cursor:
            cursor.execute("SELECT attempts FROM outbox_message WHERE id = %s", [str(message.id)])
            seen.append(cursor.fetchone()[0])

    body.then = look
    assert consume(task, message.id, again=again) == "done"
    assert body.runs[0].attempts == 1
    return int(seen[0])


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not yet marked"])
def test_a_later_delivery_that_fails_is_counted_once(
    task: Task[Any], body: Body, marked: bool
) -> None:
    body.then = fail
    enqueue(task)
    message = claim()
    if marked:
        store.mark_dispatched([message])
    with pytest.raises(Failed):
        consume(task, message.id, again=True)
    assert (row(message).attempts, row(message).state) == (1, State.READY)


@pytest.mark.parametrize("event_type", ["mortal.body", "mortal.leased"])
@committed
def test_a_message_that_kills_its_process_each_time_ends_dead(
    declare: Declare, event_type: str
) -> None:
    mortal.declare_all(declare)
    task = registry.get(event_type)
    message = sent(task)
    counted = []
    # The first delivery of a task in a transaction is not counted: it saves a commit.
    for sends in range(1, 3 if not task.atomic else 4):
        arguments = (event_type, str(message.id), str(sends))
        assert mortal.run(database_url("default"), "consume", *arguments) == mortal.DIED
        counted.append(row(message).attempts)
        assert row(message).state == State.DISPATCHED
        wait_over(message)
    assert counted == ([0, 1, 2] if task.atomic else [1, 2])

    assert mortal.run(database_url("default"), "consume", event_type, str(message.id), "9") == 0

    assert row(message).state == State.DEAD
    assert row(message).last_error == consumer.DIED_EACH_TIME


def test_a_copy_is_refused_while_a_killed_workers_lease_lasts(leased: Task[Any]) -> None:
    message = sent(leased)
    assert store.begin_try(message, token=uuid.uuid4(), seconds=60) == 1
    assert consume(leased, message.id, again=True) == "busy"
    wait_over(message)
    assert consume(leased, message.id, again=True) == "done"


# Without a transaction


@committed
def test_without_a_transaction_none_is_open_in_the_body(leased: Task[Any], body: Body) -> None:
    open_blocks: list[list[Atomic]] = []
    body.then = lambda: open_blocks.append([*connection.atomic_blocks])
    message = sent(leased)
    assert consume(leased, message.id, again=False) == "done"
    assert open_blocks == [[]]
    assert body.runs[0].attempts == 1
    assert HistoryMessage.objects.get(pk=message.id).attempts == 0
    assert effects() == 1


def test_while_it_runs_its_lease_covers_its_time_limit_and_refuses_copies(
    leased: Task[Any], body: Body
) -> None:
    message = sent(leased)
    words = []

    def copy_comes() -> None:
        assert 55 < seconds_until_due(message) <= 60
        body.then = lambda: None
        words.append(consume(leased, message.id, again=True))

    body.then = copy_comes
    assert consume(leased, message.id, again=False) == "done"
    assert words == ["busy"]
    assert len(body.runs) == 1


def test_the_relays_late_mark_does_not_end_the_lease(leased: Task[Any], body: Body) -> None:
    enqueue(leased)
    message = claim()

    def mark() -> None:
        assert store.mark_dispatched([message]) == set()
        assert store.release([message]) == set()

    body.then = mark
    assert consume(leased, message.id, again=False) == "done"


def test_a_lost_lease_completes_nothing_twice(leased: Task[Any], body: Body) -> None:
    message = sent(leased)
    words = []

    def lose_the_lease() -> None:
        wait_over(message)
        body.then = lambda: None
        words.append(consume(leased, message.id, again=True))

    body.then = lose_the_lease
    assert consume(leased, message.id, again=False) == "lease_lost"
    assert words == ["done"]
    assert HistoryMessage.objects.count() == 1


def test_a_failure_after_a_lost_lease_does_not_touch_the_new_one(
    leased: Task[Any], body: Body
) -> None:
    message = sent(leased)

    def lose_the_lease() -> None:
        wait_over(message)
        (taken,) = store.claim_unsent_suspect(["celery"], registry.allowed_tasks())
        assert taken.attempts == 2
        raise Failed

    body.then = lose_the_lease
    with pytest.raises(Failed):
        consume(leased, message.id, again=False)
    left = row(message)
    assert (left.state, left.attempts, left.last_error) == (State.DISPATCHED, 2, "")


def test_without_a_transaction_a_failure_is_retried_and_its_effect_stays(
    leased: Task[Any], body: Body
) -> None:
    body.then = fail
    message = sent(leased)
    for attempts in (1, 2, 3):
        with pytest.raises(Failed):
            consume(leased, message.id, again=attempts > 1)
        left = row(message)
        assert (left.attempts, left.lease_token, left.started_at) == (attempts, None, None)
        wait_over(message)
    assert row(message).state == State.DEAD
    assert effects() == 3, "what it did outside of a transaction cannot be undone"


@committed
def test_without_a_transaction_a_connection_lost_in_the_body_is_replaced_for_the_receipt(
    leased: Task[Any], body: Body
) -> None:
    def lose_and_hide() -> None:
        with pytest.raises(DatabaseError):
            end_own_session()

    body.then = lose_and_hide
    message = sent(leased)
    assert consume(leased, message.id, again=False) == "done"
    assert state_of(message.id) == DONE


@committed
def test_without_a_transaction_a_connection_that_died_unseen_is_replaced(
    leased: Task[Any], body: Body, maintenance: Callable[..., Any]
) -> None:
    """As behind a firewall that forgets idle connections while the body talks to a bank."""

    def die_unseen() -> None:
        assert connection.connection is not None
        maintenance("SELECT pg_terminate_backend(%s)", connection.connection.info.backend_pid)

    body.then = die_unseen
    message = sent(leased)
    assert consume(leased, message.id, again=False) == "done"


@committed
def test_without_a_transaction_a_failure_is_written_though_the_body_lost_the_connection(
    leased: Task[Any], body: Body
) -> None:
    body.then = end_own_session
    message = sent(leased)
    with pytest.raises(OperationalError):
        consume(leased, message.id, again=False)
    left = row(message)
    assert (left.state, left.attempts, left.started_at) == (State.READY, 1, None)
    assert "closed the connection" in left.last_error


@committed
def test_a_connection_that_died_between_two_tasks_is_replaced(
    task: Task[Any], maintenance: Callable[..., Any]
) -> None:
    message = sent(task)
    assert connection.connection is not None
    maintenance("SELECT pg_terminate_backend(%s)", connection.connection.info.backend_pid)
    assert consume(task, message.id, again=False) == "done"


# As Celery calls it


def run_as_a_worker(task: Task[Any], **headers: Any) -> Any:
    """Run it as a worker does that got a message with these headers."""
    known = celery.current_app.tasks[task.name]
    known.push_request(**headers)
    try:
        return known.run()
    finally:
        known.pop_request()


def test_a_message_without_the_outboxs_header_is_refused(task: Task[Any], body: Body) -> None:
    message = sent(task)
    before = snapshot(message)
    for headers in ({}, {"headers": {}}, {"headers": None}, {"headers": {"other": 1}}):
        with pytest.raises(outbox.NotSendable, match="relay"):
            run_as_a_worker(task, id=str(message.id), **headers)
    assert snapshot(message) == before


@pytest.mark.parametrize(
    ("sends", "redelivered", "again"),
    [(1, False, False), (1, None, False), (2, False, True), (1, True, True)],
)
def test_the_number_of_the_sending_and_the_brokers_flag_say_whether_it_came_before(
    task: Task[Any],
    monkeypatch: pytest.MonkeyPatch,
    sends: int,
    redelivered: bool | None,
    again: bool,
) -> None:
    calls: list[tuple[Any, ...]] = []

    def record(task: Task[Any], message_id: uuid.UUID, *, again: bool) -> str:
        calls.append((task, message_id, again))
        return "done"

    monkeypatch.setattr(consumer, "consume", record)
    message_id = uuid.uuid4()
    word = run_as_a_worker(
        task,
        id=str(message_id),
        headers={"outbox": sends},
        delivery_info={"redelivered": redelivered},
    )
    assert (word, calls) == ("done", [(task, message_id, again)])


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_relay_sends_is_what_a_worker_runs(
    declare: Declare, body: Body, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    queue = f"test-{uuid.uuid4().hex}"

    @declare("order.sent", queue=queue)
    def confirm(order_id: int) -> Any:
        return body(order_id)

    if fails:
        body.then = fail
    enqueue(confirm)
    (message,) = store.claim_ready({queue: 1}, registry.allowed_tasks())
    app = celery.current_app
    with app.connection_for_read() as broker:
        app.amqp.queues.select_add(queue)
        received = app.amqp.queues[queue](broker.default_channel)
        received.declare()
        publisher = Publisher(app, deadline=10)
        outcome = publisher.publish([message])
        publisher.close()
        assert outcome.confirmed == {message.id}
        store.mark_dispatched([message])

        request = Request(eventually(received.get), app=app, task=app.tasks[confirm.name])
        request.execute()

        assert eventually(lambda: received.get() is None), "acknowledged"
        received.delete()
    del app.amqp.queues[queue]
    assert state_of(message.id) == (State.READY if fails else DONE)
    assert [run.sends for run in body.runs] == [1]
