"""Step 2: what prepare functions do appears together with "ready", or not at all."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from django.utils import timezone

import outbox
from app.models import Tag
from outbox import prepare, registry, store
from outbox.backlog import unfinished_pending
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from outbox.states import State
from tests.conftest import Declare
from tests.outbox import mortal
from tests.service import database_url

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

Raw = Callable[[], Any]


class Filling:
    """A prepare function that leaves a Tag per message, and then does what the test tells it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.then: Callable[[list[outbox.Message]], Iterable[outbox.Message] | None] = (
            lambda messages: None
        )

    def __call__(self, messages: list[outbox.Message]) -> Iterable[outbox.Message] | None:
        numbers = [message.payload["order_id"] for message in messages]
        self.batches.append(numbers)
        Tag.objects.bulk_create(Tag(name=f"filled {number}") for number in numbers)
        return self.then(messages)


class Poison(Exception):
    pass


@pytest.fixture
def filling() -> Filling:
    return Filling()


@pytest.fixture
def task(declare: Declare, filling: Filling) -> Task[Any]:
    @declare("order.placed", max_attempts=3)
    def confirm(order_id: int) -> None: ...

    confirm.prepare(filling)
    return confirm


@pytest.fixture
def other(declare: Declare) -> Task[Any]:
    """A second task, whose prepare function the test gives it."""

    @declare("order.paid", max_attempts=3)
    def thank(order_id: int) -> None: ...

    return thank


def enqueue(task: Task[Any], *numbers: int) -> list[outbox.Message]:
    with transaction.atomic():
        messages = [task.enqueue(order_id=number) for number in numbers]
    make_due()
    return messages


def make_due() -> None:
    """As if all leases and waits were over, also for a claim in this test's transaction."""
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    OutboxMessage.objects.update(due_at=long_ago)


def filled() -> set[int]:
    return {int(name.split()[1]) for name in Tag.objects.values_list("name", flat=True)}


def rows(state: str | None = None) -> dict[int, OutboxMessage]:
    found = OutboxMessage.objects.filter(**({"state": state} if state else {}))
    return {row.payload["order_id"]: row for row in found}


def poisoned(*numbers: int, error: Exception | None = None) -> Callable[..., None]:
    """What fails if one of these messages is in the batch."""

    def fail(messages: list[outbox.Message]) -> None:
        if {message.payload["order_id"] for message in messages} & {*numbers}:
            raise error or Poison("a poisoned message")

    return fail


# A good end


def test_a_batch_is_prepared_and_marked_ready(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    assert Preparer(batch_size=10).step()
    assert filling.batches == [[1, 2, 3]]
    assert filled() == {1, 2, 3}
    ready = rows("ready")
    assert {*ready} == {1, 2, 3}
    for row in ready.values():
        assert (row.attempts, row.sends, row.lease_token, row.suspect) == (0, 0, None, False)
        assert row.ready_at is not None
    assert unfinished_pending() == 0


def test_with_nothing_due_there_is_no_more(task: Task[Any], filling: Filling) -> None:
    assert not Preparer(batch_size=10).step()
    enqueue(task, 1)
    assert Preparer(batch_size=10).step()
    assert not Preparer(batch_size=10).step()
    assert filling.batches == [[1]]


def test_a_batch_is_no_larger_than_its_size(task: Task[Any], filling: Filling) -> None:
    enqueue(task, *range(5))
    preparer = Preparer(batch_size=2)
    while preparer.step():
        pass
    assert sorted(map(len, filling.batches)) == [1, 2, 2]
    assert filled() == {*range(5)}


def test_a_message_of_an_unknown_event_type_is_left(
    task: Task[Any], other: Task[Any], filling: Filling
) -> None:
    """A process of the version before does not know it; a newer one takes it."""
    other.prepare(lambda messages: None)
    enqueue(other, 1)
    registry.unregister(other)
    enqueue(task, 2)
    preparer = Preparer(batch_size=10)
    while preparer.step():
        pass
    left = rows("pending")[1]
    assert (left.attempts, left.suspect) == (0, False)
    assert {*rows("ready")} == {2}


@committed
def test_effect_and_ready_appear_together(task: Task[Any], filling: Filling, connect: Raw) -> None:
    enqueue(task, 1)
    seen = []

    def look(_messages: object = None) -> None:
        with connect().cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM app_tag),"
                " (SELECT count(*) FROM outbox_message WHERE state = 'ready')"
            )
            seen.append(cursor.fetchone())

    filling.then = look
    Preparer(batch_size=10).step()
    look()
    assert seen == [(0, 0), (1, 1)]


@committed
def test_a_batch_wakes_the_relay_at_its_commit(
    task: Task[Any], listen: Callable[[str], Any], heard: Callable[[Any, float], bool]
) -> None:
    relay = listen("outbox_ready")
    enqueue(task, 1, 2)
    Preparer(batch_size=10).step()
    assert heard(relay, 5)


def test_what_is_given_back_waits_a_second_unspent(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    filling.then = lambda messages: [messages[1]]
    preparer = Preparer(batch_size=10)
    assert preparer.step()
    assert {*rows("ready")} == {1, 3}
    waiting = rows("pending")[2]
    assert (waiting.attempts, waiting.lease_token, waiting.suspect) == (0, None, False)
    assert 0 < (waiting.due_at - rows("ready")[1].due_at).total_seconds() <= prepare.WAIT_SECONDS
    assert not preparer.step(), "not due yet"


def test_a_prepare_function_may_yield_what_it_gives_back(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2)

    def some(messages: list[outbox.Message]) -> Iterable[outbox.Message]:
        yield messages[0]

    filling.then = some
    Preparer(batch_size=10).step()
    assert ({*rows("pending")}, {*rows("ready")}) == ({1}, {2})


def test_each_prepare_function_gets_its_own_messages(
    task: Task[Any], other: Task[Any], filling: Filling
) -> None:
    seen: list[list[str]] = []
    other.prepare(lambda messages: seen.append([m.event_type for m in messages]))
    enqueue(task, 1)
    enqueue(other, 2, 3)
    Preparer(batch_size=10).step()
    assert (filling.batches, seen) == ([[1]], [["order.paid", "order.paid"]])
    assert {*rows("ready")} == {1, 2, 3}


# Poison


def test_a_poisoned_message_stands_alone_and_its_neighbours_become_ready(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, *range(8))
    filling.then = poisoned(5)
    Preparer(batch_size=10).step()
    assert {*rows("ready")} == {*range(8)} - {5} == filled()
    left = rows("pending")[5]
    assert (left.attempts, left.suspect, left.lease_token) == (1, True, None)
    assert left.last_error.rstrip().endswith("Poison: a poisoned message")
    assert all(row.last_error == "" for row in rows("ready").values())


def test_a_poisoned_message_is_tried_alone_until_it_is_dead(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, 1, 2)
    filling.then = poisoned(1)
    preparer = Preparer(batch_size=10)
    preparer.step()
    filling.batches.clear()
    for _ in range(2):
        enqueue(task, 3)
        preparer.step()
    assert filling.batches == [[3], [1], [3], [1]]
    dead = rows("dead")[1]
    assert (dead.attempts, dead.ready_at, dead.lease_token) == (3, None, None)


def test_one_suspect_comes_between_two_batches(task: Task[Any], filling: Filling) -> None:
    enqueue(task, *range(4))
    OutboxMessage.objects.filter(payload__order_id__lt=2).update(suspect=True)
    preparer = Preparer(batch_size=1)
    while preparer.step():
        pass
    assert [batch[0] < 2 for batch in filling.batches] == [False, True, False, True]


def test_permanent_is_dead_at_once_and_alone(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    filling.then = poisoned(2, error=outbox.Permanent("never"))
    Preparer(batch_size=10).step()
    assert ({*rows("ready")}, {*rows("dead")}) == ({1, 3}, {2})
    assert "never" in rows("dead")[2].last_error


@pytest.mark.parametrize("result", [42, [object()]], ids=["not iterable", "not messages"])
def test_a_senseless_answer_is_a_failure(task: Task[Any], filling: Filling, result: Any) -> None:
    enqueue(task, 1)
    filling.then = lambda messages: result
    Preparer(batch_size=10).step()
    assert (rows("pending")[1].attempts, filled()) == (1, set())


@committed
def test_a_constraint_that_fails_at_the_commit_is_a_failure(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, 1, 2)

    def link_to_nothing(messages: list[outbox.Message]) -> None:
        if messages[-1].payload["order_id"] == 2:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO app_post_tags (post_id, tag_id) VALUES (-1, -1)")

    filling.then = link_to_nothing
    Preparer(batch_size=10).step()
    assert ({*rows("ready")}, {*rows("pending")}, filled()) == ({1}, {2}, {1})


def test_a_prepare_that_kills_its_process_ends_dead_and_buries_no_neighbour(
    transactional_db: None, declare: Declare
) -> None:
    _, _, task = mortal.declare_all(declare)
    with transaction.atomic():
        task.enqueue(order_id=1)
        task.enqueue(order_id=2, deadly=True)
        task.enqueue(order_id=3)
    deaths = 0
    while (code := mortal.run(database_url("default"), "prepare")) == mortal.DIED:
        deaths += 1
        make_due()
    assert (code, deaths) == (0, mortal.MAX_ATTEMPTS)
    assert {*rows("ready")} == {1, 3}
    assert rows("dead")[2].last_error == prepare.DIED_EACH_TIME


# Nobody's fault


def raising(code: str) -> Callable[..., None]:
    def fail(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")

    return fail


@pytest.mark.parametrize("code", ["40P01", "40001", "55P03", "57P01", "57P03", "53300", "08006"])
def test_what_is_nobodys_fault_is_refunded_whole(
    task: Task[Any], filling: Filling, code: str
) -> None:
    enqueue(task, 1, 2)
    filling.then = raising(code)
    Preparer(batch_size=10).step()
    assert filling.batches == [[1, 2]], "not halved"
    for row in rows("pending").values():
        assert (row.attempts, row.suspect, row.lease_token) == (0, False, None)
        assert row.last_error == ""
    assert filled() == set()


@pytest.mark.parametrize("code", ["57014", "22012", "23505", "XX000"])
def test_other_errors_of_the_database_count(task: Task[Any], filling: Filling, code: str) -> None:
    enqueue(task, 1)
    filling.then = raising(code)
    Preparer(batch_size=10).step()
    assert (rows("pending")[1].attempts, rows("pending")[1].suspect) == (1, True)


def test_a_statement_timeout_counts(task: Task[Any], filling: Filling) -> None:
    """A statement that is always too slow would otherwise be tried for ever."""
    enqueue(task, 1)

    def be_slow(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10ms'")
            cursor.execute("SELECT pg_sleep(5)")

    filling.then = be_slow
    Preparer(batch_size=10).step()
    assert rows("pending")[1].attempts == 1
    assert "statement timeout" in rows("pending")[1].last_error


def test_a_mistake_with_a_connection_that_stands_counts(task: Task[Any], filling: Filling) -> None:
    """Given back each time, it would hold up its whole batch for ever."""
    enqueue(task, 1, 2)

    def use_closed_cursor(messages: list[outbox.Message]) -> None:
        if messages[0].payload["order_id"] == 1:
            cursor = connection.cursor()
            cursor.close()
            cursor.execute("SELECT 1")

    filling.then = use_closed_cursor
    Preparer(batch_size=10).step()
    assert {*rows("ready")} == {2}
    assert rows("pending")[1].attempts == 1
    assert InterfaceError.__name__ in rows("pending")[1].last_error


@committed
def test_a_lock_that_is_not_to_be_had_is_nobodys_fault(
    task: Task[Any], filling: Filling, connect: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LOCK_TIMEOUT", "50ms")
    enqueue(task, 1)
    Tag.objects.create(name="held 0")

    def want_the_lock(_messages: object) -> None:
        Tag.objects.filter(name="held 0").update(name="held 1")

    filling.then = want_the_lock
    with connect().cursor() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT FROM app_tag WHERE name = 'held 0' FOR UPDATE")
        Preparer(batch_size=10).step()
        holder.execute("ROLLBACK")
    assert (rows("pending")[1].attempts, rows("pending")[1].suspect) == (0, False)
    assert filled() == {0}
    make_due()
    Preparer(batch_size=10).step()
    assert {*rows("ready")} == {1}


@committed
def test_a_lost_connection_is_nobodys_fault(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2)

    def end_own_session(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    filling.then = end_own_session
    preparer = Preparer(batch_size=10)
    preparer.step()
    assert [row.attempts for row in rows("pending").values()] == [0, 0]
    filling.then = lambda messages: None
    make_due()
    assert preparer.step()
    assert {*rows("ready")} == {1, 2}


@committed
def test_after_an_outage_everything_that_was_claimed_is_given_back(
    task: Task[Any], other: Task[Any], filling: Filling, outage: Any
) -> None:
    """Also what was not begun: the other half of a batch, and the other function's messages."""
    other.prepare(lambda messages: None)
    enqueue(task, 1, 2)
    enqueue(other, 3)

    def fail_as_the_database_goes_away(messages: list[outbox.Message]) -> None:
        if len(messages) > 1:
            raise Poison  # halved
        outage.begin()
        Tag.objects.count()

    filling.then = fail_as_the_database_goes_away
    preparer = Preparer(batch_size=10)
    with pytest.raises(OperationalError):
        preparer.step()
    outage.end()
    connection.close()
    claimed = rows("pending").values()
    assert [(row.attempts, row.suspect) for row in claimed] == [(1, True)] * 3

    preparer.settle()

    for row in rows("pending").values():
        assert (row.attempts, row.suspect, row.lease_token) == (0, False, None)
    filling.then = lambda messages: None
    make_due()
    preparer.step()
    assert {*rows("ready")} == {1, 2, 3}


@committed
def test_a_failure_that_cannot_be_written_for_an_outage_is_refunded(
    task: Task[Any], filling: Filling, outage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(task, 1)
    filling.then = poisoned(1)
    real = store.fail

    def fail_in_the_outage(*arguments: Any, **keywords: Any) -> State:
        outage.begin()
        return real(*arguments, **keywords)

    monkeypatch.setattr(store, "fail", fail_in_the_outage)
    preparer = Preparer(batch_size=10)
    with pytest.raises((OperationalError, InterfaceError)):
        preparer.step()
    outage.end()
    connection.close()
    assert rows("pending")[1].attempts == 1
    preparer.settle()
    assert (rows("pending")[1].attempts, rows("pending")[1].lease_token) == (0, None)


# Lost leases


def test_a_message_that_somebody_else_has_claimed_leaves_the_batch(
    task: Task[Any], other: Task[Any], filling: Filling
) -> None:
    def let_leases_run_out(_messages: object) -> None:
        OutboxMessage.objects.filter(payload__order_id__in=[2, 4]).update(
            due_at=timezone.now() - dt.timedelta(minutes=1)
        )
        for _ in range(2):
            assert store.claim_pending_suspect(["order.placed"])

    other.prepare(let_leases_run_out)
    enqueue(other, 1)
    enqueue(task, 2, 3, 4)
    Preparer(batch_size=10).step()
    assert filling.batches == [[3]]
    assert {*rows("ready")} == {1, 3}
    assert {row.attempts for row in rows("pending").values()} == {2}
    assert filled() == {3}


def test_a_failure_after_a_lost_lease_touches_nothing(task: Task[Any], filling: Filling) -> None:
    preparer = Preparer(batch_size=10)
    enqueue(task, 1)
    OutboxMessage.objects.update(suspect=True, attempts=task.max_attempts)
    real = store.fail

    def fail_late(message: outbox.Message, *arguments: Any, **keywords: Any) -> State:
        make_due()
        assert store.claim_pending_suspect(["order.placed"])
        return real(message, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "fail", fail_late)
        assert preparer.step()
    assert rows("pending")[1].lease_token is not None, "the new claim stands"


@committed
def test_two_post_processors_prepare_each_message_once(declare: Declare) -> None:
    done: list[int] = []

    @declare("order.placed")
    def confirm(order_id: int) -> None: ...

    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> None:
        numbers = sorted(message.payload["order_id"] for message in messages)
        Tag.objects.bulk_create(Tag(name=f"filled {number}") for number in numbers)
        done.extend(numbers)

    enqueue(confirm, *range(60))
    start = threading.Barrier(2)

    def work() -> None:
        try:
            preparer = Preparer(batch_size=7)
            start.wait(10)
            while preparer.step():
                pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == [*range(60)]
    assert {*rows("ready")} == filled() == {*range(60)}
