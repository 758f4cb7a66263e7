"""An outbox task as Celery's worker calls it."""

from __future__ import annotations

import uuid
from typing import Any

import celery
import pytest
from celery.exceptions import Reject
from celery.worker.request import Request

import outbox
from outbox import consumer, registry, store
from outbox.declaration import Task
from outbox.states import DONE, State
from relay.publisher import Publisher
from tests.conftest import Declare
from tests.message_factory import state_of
from tests.outbox.consumer.consuming import Body, enqueue, fail, row, sent, snapshot
from tests.waiting import eventually

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("error", [MemoryError("big"), Reject("no", requeue=True)], ids=repr)
def test_an_exception_that_means_something_to_celery_is_a_failure_like_any_other(
    task: Task[Any], body: Body, error: Exception
) -> None:
    """A MemoryError would end the whole worker, and with it the tasks of its other processes."""

    def raise_it() -> None:
        raise error

    body.then = raise_it
    message = sent(task)
    with pytest.raises(RuntimeError, match="confirm raised") as failure:
        run_as_a_worker(task, id=str(message.id), headers={"outbox": 1}, delivery_info={})
    assert failure.value.__cause__ is error
    assert (row(message).state, row(message).attempts) == (State.READY, 1)
    assert type(error).__name__ in row(message).last_error


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
