"""An outbox task is called or enqueued: Celery's own ways to send it are refused."""

from __future__ import annotations

from typing import Any

import pytest

import outbox
from outbox.declaration import Task
from tests.conftest import Declare
from tests.outbox.declaration.declared import celery_task

SENDING = (
    "delay",
    "apply_async",
    "apply",
    "s",
    "si",
    "signature",
    "subtask",
    "map",
    "starmap",
    "chunks",
)


def test_calling_runs_the_body(confirm: Task[Any]) -> None:
    assert confirm(7, note="now") == "7 now {}"
    assert confirm.__doc__ == "Confirm an order."
    assert repr(confirm) == f"<outbox task {confirm.name}>"


@pytest.mark.parametrize("way", [*SENDING, "delay_on_commit", "apply_async_on_commit"])
def test_every_way_of_celery_to_send_is_refused(confirm: Task[Any], way: str) -> None:
    with pytest.raises(outbox.NotSendable, match="enqueue"):
        getattr(confirm, way)(7)


@pytest.mark.parametrize("way", SENDING)
def test_the_task_that_celery_knows_refuses_as_well(confirm: Task[Any], way: str) -> None:
    arguments: tuple[Any, ...] = ([[7]], 1) if way == "chunks" else ([7],)
    with pytest.raises(outbox.NotSendable, match="enqueue"):
        getattr(celery_task(confirm), way)(*arguments)


def test_the_task_that_celery_knows_runs_only_what_the_relay_has_sent(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.NotSendable, match="relay"):
        celery_task(confirm)(order_id=7)


def test_celery_acknowledges_late_and_keeps_the_options_that_are_its_own(declare: Declare) -> None:
    @declare("order.placed", queue="mail", rate_limit="5/m", time_limit=60, soft_time_limit=50)
    def confirm(order_id: int) -> None: ...

    known = celery_task(confirm)
    assert (known.acks_late, known.reject_on_worker_lost, known.ignore_result) == (
        True,
        False,
        True,
    )
    assert (known.rate_limit, known.time_limit, known.soft_time_limit) == ("5/m", 60, 50)


def test_outside_of_a_task_there_is_no_current_message() -> None:
    with pytest.raises(LookupError):
        outbox.current_message()
