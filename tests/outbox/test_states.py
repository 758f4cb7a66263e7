"""The state machine as data, the constraints and the store say the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.postgres.functions import TransactionNow
from django.db import IntegrityError, connection, transaction

from outbox import store
from outbox.exceptions import LeaseLost
from outbox.models import OutboxMessage
from outbox.registry import AllowedTasks
from outbox.states import DONE, FINISHABLE, MOVES, State
from tests.message_factory import TASK, MessageFactory, as_message, state_of

pytestmark = pytest.mark.django_db

ALLOWED = AllowedTasks((TASK,), ())
TOKEN = uuid.uuid4()

VERBS: dict[str, Callable[[OutboxMessage], object]] = {
    "claim_pending": lambda row: store.claim_pending([row.event_type], limit=9),
    "claim_pending_suspect": lambda row: store.claim_pending_suspect([row.event_type]),
    "claim_ready": lambda row: store.claim_ready({row.queue: 9}, ALLOWED),
    "claim_overdue": lambda row: store.claim_overdue([row.queue], ALLOWED, limit=9),
    "claim_unsent_suspect": lambda row: store.claim_unsent_suspect([row.queue], ALLOWED),
    "hold": lambda row: store.hold([as_message(row)]),
    "mark_ready": lambda row: store.mark_ready([as_message(row)]),
    "mark_dispatched": lambda row: store.mark_dispatched([as_message(row)]),
    "release": lambda row: store.release([as_message(row)]),
    "fail": lambda row: store.fail(as_message(row), "it broke", delay=0, max_attempts=9),
    "bury": lambda row: store.fail(as_message(row), "it broke", delay=0, max_attempts=0),
    "begin_try": lambda row: store.begin_try(as_message(row), token=None, seconds=9),
    "begin_leased": lambda row: store.begin_try(as_message(row), token=TOKEN, seconds=9),
    "fail_try": lambda row: _fail_try(row, limit=9),
    "bury_try": lambda row: _fail_try(row, limit=0),
    "give_back": lambda row: _give_back(row),
    "bury_lost": lambda row: _give_back(row, lost_before=True),
    "complete": lambda row: store.complete(
        as_message(row), counted=False, token=None, taken_at=row.received_at
    ),
    "requeue": lambda row: store.requeue([row.pk]),
}


def _give_back(row: OutboxMessage, *, lost_before: bool = False) -> bool:
    if lost_before:
        store.run("UPDATE outbox_message SET last_error = 'lost its database'")
    limit = 0 if lost_before else 9
    return store.give_back(as_message(row), "it broke", counted=False, delay=0, limit=limit)


def _fail_try(row: OutboxMessage, *, limit: int) -> State:
    return store.fail_try(
        as_message(row), "it broke", counted=False, token=None, delay=0, limit=limit
    )


def _rows(state: State) -> list[dict[str, Any]]:
    """What a row of the state may be like."""
    if state is State.DEAD:
        return [{}, {"unprepared": True}]
    shapes: list[dict[str, Any]] = [{}, {"suspect": True}, {"leased": True}, {"due_in": 60}]
    if state in FINISHABLE:
        shapes.append({"leased": True, "started_at": TransactionNow()})
    return [*shapes, {"leased": True, "due_in": -1}]


def _moves_of(verb: str, state: State) -> set[str]:
    ends = set()
    for shape in _rows(state):
        row = MessageFactory(state=state, **shape)
        try:
            VERBS[verb](row)
        except LeaseLost:
            assert state_of(row.pk) == state
        ends.add(state_of(row.pk))
        store.run("DELETE FROM outbox_message")
    return ends - {state}


MOVES_OF: dict[str, set[tuple[str, str]]] = {
    "mark_ready": {(State.PENDING, State.READY)},
    "mark_dispatched": {(State.READY, State.DISPATCHED)},
    "fail": {(State.DISPATCHED, State.READY)},
    "bury": {(state, State.DEAD) for state in set(State) - {State.DEAD}},
    "begin_try": {(State.READY, State.DISPATCHED)},
    "begin_leased": {(State.READY, State.DISPATCHED)},
    "fail_try": {(State.DISPATCHED, State.READY)},
    "bury_try": {(state, State.DEAD) for state in FINISHABLE},
    "give_back": {(State.DISPATCHED, State.READY)},
    "bury_lost": {(State.DISPATCHED, State.DEAD)},
    "complete": {(state, DONE) for state in FINISHABLE},
    "requeue": {(State.DEAD, State.PENDING), (State.DEAD, State.READY)},
}
"""The verbs that move a message; all others leave its state as it is."""


def test_the_verbs_together_make_the_moves_of_the_machine_and_no_others() -> None:
    assert set().union(*MOVES_OF.values()) == MOVES | {(state, DONE) for state in FINISHABLE}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_moves_only_from_the_states_that_it_names(verb: str) -> None:
    moves = {(state, end) for state in State for end in _moves_of(verb, state)}
    assert moves == MOVES_OF.get(verb, set())


@pytest.mark.parametrize("state", State)
def test_the_constraints_take_every_state_of_the_machine(state: State) -> None:
    for shape in _rows(state):
        assert MessageFactory(state=state, **shape).state == state


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("outbox_state_known", {"state": "done"}),
    ("outbox_leased_is_suspect", {"lease_token": TOKEN, "suspect": False}),
    ("outbox_dead_has_error_and_no_lease", {"state": State.DEAD, "last_error": ""}),
    (
        "outbox_dead_has_error_and_no_lease",
        {"state": State.DEAD, "lease_token": TOKEN, "suspect": True},
    ),
    ("outbox_dead_has_error_and_no_lease", {"state": State.DEAD, "suspect": True}),
    ("outbox_pending_is_not_ready_yet", {"state": State.PENDING, "ready_at": TransactionNow()}),
    (
        "outbox_pending_is_not_ready_yet",
        {"state": State.PENDING, "dispatched_at": TransactionNow()},
    ),
    ("outbox_ready_has_its_time", {"ready_at": None}),
    ("outbox_ready_has_its_time", {"state": State.DISPATCHED, "ready_at": None}),
    ("outbox_dispatched_has_its_time", {"state": State.DISPATCHED, "dispatched_at": None}),
    ("outbox_running_is_leased", {"started_at": TransactionNow()}),
    ("outbox_running_is_leased", {"state": State.DEAD, "started_at": TransactionNow()}),
    ("outbox_payload_is_object", {"payload": [1]}),
    ("outbox_payload_is_object", {"payload": "text"}),
    ("outbox_message_attempts_check", {"attempts": -1}),
]


@pytest.mark.parametrize(("constraint", "values"), REFUSED)
def test_the_database_refuses_a_row_that_breaks(constraint: str, values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        MessageFactory(**values)
    assert constraint in str(refused.value)


def test_each_constraint_of_the_model_is_in_the_database_and_tried_here() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint"
            " WHERE conrelid = 'outbox_message'::regclass AND contype = 'c'"
            " AND conname LIKE 'outbox%' AND conname NOT LIKE '%_check'"
        )
        present = {row[0] for row in cursor.fetchall()}
    assert present == {constraint.name for constraint in OutboxMessage._meta.constraints}
    assert present <= {name for name, _ in REFUSED}
