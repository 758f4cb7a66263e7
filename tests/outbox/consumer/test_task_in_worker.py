"""A bound task, its retry and follow-up, and the soft time limit, in a real prefork worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import celery
import pytest
from django.db import transaction

from app.models import Tag
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import DONE, State
from relay.dispatcher import Dispatcher
from relay.publisher import Publisher
from tests.celery_worker import celery_worker
from tests.conftest import Declare
from tests.message_factory import state_of
from tests.waiting import eventually

MODULE = "tests.outbox.consumer.worker_tasks"


@pytest.fixture
def tasks(declare: Declare, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("outbox.task", declare)
    sys.modules.pop(MODULE, None)
    yield import_module(MODULE)
    sys.modules.pop(MODULE, None)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(120)
def test_a_task_does_in_a_prefork_worker_what_it_may_ask_for(tasks: Any, tmp_path: Path) -> None:
    with transaction.atomic():
        bound = tasks.bound.enqueue(name="bound")
        slow = [task.enqueue(name=task.name) for task in (tasks.slow, tasks.slow_leased)]
    publisher = Publisher(celery.current_app, deadline=10)
    dispatcher = Dispatcher(publisher, batch_size=10)

    def over() -> bool:
        assert process.poll() is None, process.complaint("ended")
        dispatcher.step()
        failed = OutboxMessage.objects.filter(pk__in=[m.id for m in slow]).exclude(last_error="")
        return HistoryMessage.objects.count() == 2 and failed.count() == 2

    try:
        with celery_worker(tmp_path, module=MODULE, queues=tasks.QUEUE, pool="prefork") as process:
            eventually(over, 90)
    finally:
        publisher.close()
    assert state_of(bound.id) == DONE
    assert HistoryMessage.objects.get(pk=bound.id).attempts == 1, "the try that asked for another"
    names = set(Tag.objects.values_list("name", flat=True))
    assert names == {"bound True worker.follow_up", "worker.slow_leased"}
    for row in OutboxMessage.objects.all():
        assert (row.state, row.attempts) == (State.READY, 1)
        assert "SoftTimeLimitExceeded" in row.last_error
    log = (tmp_path / "worker.log").read_text()
    assert "Retry" not in log.replace("asked to be tried again", ""), "no failure to report"
