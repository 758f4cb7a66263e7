"""Claims and marks of several sessions at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg2
import pytest
from django.db import connection, connections

from outbox import store
from outbox.exceptions import LeaseLost
from outbox.message import Message
from outbox.models import OutboxMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.message_factory import TASK, MessageFactory, as_message
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("committed")

T = TypeVar("T")

ALLOWED = AllowedTasks((TASK,), ())
CLAIMANTS = 4
ROWS = 300
SOON_SECONDS = 5.0
"""A statement that waits for nobody is done by then, however busy the machine."""

CLAIMS: dict[str, tuple[State, Callable[[], list[Message]]]] = {
    "pending": (State.PENDING, lambda: store.claim_pending(["thing.happened"], limit=7)),
    "ready": (State.READY, lambda: store.claim_ready({"celery": 4, "mail": 3}, ALLOWED)),
    "overdue": (
        State.DISPATCHED,
        lambda: store.claim_overdue(["celery", "mail"], ALLOWED, limit=4),
    ),
}
ALONE: dict[str, tuple[State, Callable[[], list[Message]]]] = {
    "pending suspect": (
        State.PENDING,
        lambda: store.claim_pending_suspect(["thing.happened"]),
    ),
    "unsent suspect": (
        State.READY,
        lambda: store.claim_unsent_suspect(["celery", "mail"], ALLOWED),
    ),
}


def with_own_session(act: Callable[[], T]) -> Future[T]:
    """Start `act` in a thread, whose database session ends with it."""

    def run() -> T:
        try:
            return act()
        finally:
            connections.close_all()

    with_thread = ThreadPoolExecutor(max_workers=1)
    future = with_thread.submit(run)
    with_thread.shutdown(wait=False)
    return future


def insert(state: State, number: int, *, suspect: bool) -> None:
    store.run(
        """
        INSERT INTO outbox_message (id, event_type, task, queue, payload, state, suspect, due_at,
                                    ready_at, dispatched_at)
        SELECT gen_random_uuid(), 'thing.happened', %(task)s,
               CASE WHEN n %% 2 = 0 THEN 'celery' ELSE 'mail' END, '{}', %(state)s, %(suspect)s,
               now() - make_interval(secs => n),
               CASE WHEN %(state)s <> 'pending' THEN now() END,
               CASE WHEN %(state)s = 'dispatched' THEN now() END
        FROM generate_series(1, %(number)s) AS n
        """,
        task=TASK,
        state=state.value,
        suspect=suspect,
        number=number,
    )


def claim_all(claim: Callable[[], list[Message]]) -> list[Message]:
    """Have several claimants take everything, all starting at once."""
    together = threading.Barrier(CLAIMANTS)

    def run() -> list[Message]:
        together.wait(SOON_SECONDS)
        taken: list[Message] = []
        # An empty answer may only mean that the others hold the rest at this moment.
        while OutboxMessage.objects.filter(lease_token=None).exists():
            taken += claim()
        return taken

    running = [with_own_session(run) for _ in range(CLAIMANTS)]
    return [message for future in running for message in future.result(30)]


@pytest.mark.parametrize("kind", CLAIMS)
def test_claimants_at_once_share_no_row(kind: str) -> None:
    state, claim = CLAIMS[kind]
    insert(state, ROWS, suspect=False)
    taken = claim_all(claim)
    assert len(taken) == len({message.id for message in taken}) == ROWS
    assert set(OutboxMessage.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.parametrize("kind", ALONE)
def test_suspects_are_never_shared_either(kind: str) -> None:
    state, claim = ALONE[kind]
    insert(state, 40, suspect=True)
    taken = claim_all(claim)
    assert len(taken) == len({message.id for message in taken}) == 40


@pytest.fixture
def held(committed: None) -> Iterator[Callable[[OutboxMessage], Any]]:
    """Locks the row in another session, as a worker does, and gives the session."""
    with contextlib.ExitStack() as opened:

        def hold(row: OutboxMessage) -> Any:
            session = psycopg2.connect(**connection.get_connection_params())
            opened.callback(session.close)
            session.cursor().execute(
                "SELECT FROM outbox_message WHERE id = %s FOR UPDATE", [str(row.pk)]
            )
            return session

        yield hold


@pytest.mark.parametrize("kind", CLAIMS | ALONE)
def test_a_claim_passes_by_a_row_that_a_worker_holds(
    kind: str, held: Callable[[OutboxMessage], Any]
) -> None:
    state, claim = (CLAIMS | ALONE)[kind]
    suspect = kind in ALONE
    MessageFactory(state=state, suspect=suspect)
    free = MessageFactory(state=state, suspect=suspect)
    held(OutboxMessage.objects.exclude(pk=free.pk).get())
    assert [message.id for message in with_own_session(claim).result(SOON_SECONDS)] == [free.pk]


@pytest.mark.parametrize(
    "write", [store.mark_dispatched, store.release], ids=["mark_dispatched", "release"]
)
@pytest.mark.parametrize("state", [State.READY, State.DISPATCHED])
def test_the_relay_never_waits_for_a_worker(
    write: Callable[[list[Message]], object],
    state: State,
    held: Callable[[OutboxMessage], Any],
) -> None:
    rows = [MessageFactory(state=state, leased=True) for _ in range(2)]
    held(rows[0])
    won = with_own_session(lambda: write([as_message(row) for row in rows])).result(SOON_SECONDS)
    assert won == {rows[1].pk}


def test_a_refusal_never_waits_for_a_worker(held: Callable[[OutboxMessage], Any]) -> None:
    row = MessageFactory(leased=True)
    held(row)
    with pytest.raises(LeaseLost):
        with_own_session(
            lambda: store.fail(as_message(row), "unroutable", delay=0, max_attempts=9)
        ).result(SOON_SECONDS)


@pytest.mark.parametrize(
    "write", [store.release, store.hold, store.mark_ready], ids=["release", "hold", "mark_ready"]
)
def test_a_pending_row_that_is_locked_for_a_moment_is_waited_for(
    write: Callable[[list[Message]], object], held: Callable[[OutboxMessage], Any]
) -> None:
    row = MessageFactory(state=State.PENDING, leased=True)
    session = held(row)
    writing = with_own_session(lambda: write([as_message(row)]))
    eventually(lambda: waits_for(session))
    session.commit()
    assert writing.result(SOON_SECONDS) == {row.pk}


def waits_for(session: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))",
            [session.info.backend_pid],
        )
        return bool(cursor.fetchone()[0])


def test_a_mark_that_waits_for_nobody_loses_to_the_worker_that_failed_the_try(
    held: Callable[[OutboxMessage], Any],
) -> None:
    row = MessageFactory(leased=True)
    session = held(row)
    mark = with_own_session(lambda: store.mark_dispatched([as_message(row)]))
    assert mark.result(SOON_SECONDS) == set()
    session.commit()
    store.fail_try(as_message(row), "no", counted=False, token=None, delay=9, limit=9)
    assert store.mark_dispatched([as_message(row)]) == set()
    row.refresh_from_db()
    assert (row.state, row.attempts) == (State.READY, 1)


def test_a_worker_waits_for_the_moment_that_a_mark_takes(
    held: Callable[[OutboxMessage], Any],
) -> None:
    row = MessageFactory(leased=True)
    session = held(row)
    locking = with_own_session(lambda: store.lock(row.pk))
    eventually(lambda: waits_for(session))
    session.commit()
    assert locking.result(SOON_SECONDS) is not None


def test_a_worker_that_does_not_wait_sees_nothing_of_a_row_that_is_locked(
    held: Callable[[OutboxMessage], Any],
) -> None:
    row = MessageFactory(leased=True)
    session = held(row)
    assert store.lock(row.pk, patience=None) is None
    session.commit()
    found = store.lock(row.pk, patience=None)
    assert found is not None
    assert found.message.id == row.pk


def test_a_row_that_is_done_while_a_worker_waits_for_it_is_gone(
    held: Callable[[OutboxMessage], Any],
) -> None:
    row = MessageFactory(leased=True)
    session = held(row)
    locking = with_own_session(lambda: store.lock(row.pk))
    eventually(lambda: waits_for(session))
    session.cursor().execute("DELETE FROM outbox_message")
    session.commit()
    assert locking.result(SOON_SECONDS) is None
