"""The same with a real worker, in each kind of pool, sent by the real relay's dispatcher."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import celery
import pytest
from django.db import transaction

import outbox
from app.models import Post
from deploy.devstack.process import Process
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import State
from relay.dispatcher import Dispatcher
from relay.publisher import Publisher
from tests.celery_worker import celery_worker
from tests.conftest import Declare
from tests.factories import event
from tests.promises import pool_tasks
from tests.promises.by_hand import prepare_all, take_in, words
from tests.promises.replay import steered
from tests.service import database_url
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "replica"]),
    pytest.mark.timeout(120),
]

SAW = {
    "categories": ["economy", "science"],
    "tags": ["alpha", "beta"],
    "foreign key": "headline",
    "exists": True,
    "evaluated late": ["alpha", "beta"],
}


def dispatch_all() -> None:
    publisher = Publisher(celery.current_app, deadline=5)
    dispatcher = Dispatcher(publisher, batch_size=10)
    try:

        def step() -> bool:
            dispatcher.step()
            return not OutboxMessage.objects.exclude(state=State.DISPATCHED).exists()

        eventually(step)
    finally:
        publisher.close()


def worker(pool: str, folder: Path) -> AbstractContextManager[Process]:
    """A worker whose guard makes every forbidden read of the replica fail its task."""
    return celery_worker(
        folder,
        module="tests.promises.story_worker",
        queues=f"celery,{pool_tasks.QUEUE}",
        pool=pool,
        concurrency=2,
        DATABASE_REPLICA_URL=database_url("replica"),
    )


@pytest.mark.parametrize(
    "pool",
    [
        "threads",
        pytest.param("prefork", marks=pytest.mark.slow),
        pytest.param("solo", marks=pytest.mark.slow),
    ],
)
def test_tasks_in_a_real_worker_see_everything_while_the_replica_stands_still(
    tmp_path: Path, declare: Declare, pool: str
) -> None:
    declare(pool_tasks.NAME, name=pool_tasks.NAME, queue=pool_tasks.QUEUE)(pool_tasks.look)
    declare(
        pool_tasks.LEASED_NAME,
        name=pool_tasks.LEASED_NAME,
        queue=pool_tasks.QUEUE,
        atomic=False,
        time_limit=20,
    )(pool_tasks.look)
    with steered() as replay:
        replay.pause()
        take_in(
            event(
                title="headline", body="", categories=["economy", "science"], tags=["alpha", "beta"]
            )
        )
        prepare_all()
        with transaction.atomic():
            outbox.add(pool_tasks.NAME, source_id="post-1")
        dispatch_all()

        with worker(pool, tmp_path) as process:
            _all_done(2, process)
            # After the first, since both write the one Post.
            with transaction.atomic():
                outbox.add(pool_tasks.LEASED_NAME, source_id="post-1")
            dispatch_all()
            _all_done(3, process)

        post = Post.everything.using("default").get(source_id="post-1")
    saw: dict[str, object] = {}
    for line in post.body.splitlines():
        saw |= json.loads(line)
    assert saw == {pool_tasks.NAME: SAW, pool_tasks.LEASED_NAME: SAW}
    assert words(post.search_vector) >= {"headline", "economy", "science", "alpha", "beta"}
    assert set(HistoryMessage.objects.values_list("attempts", "sends")) == {(0, 1)}


def _all_done(number: int, process: Process) -> None:
    def done() -> bool:
        assert process.poll() is None, process.complaint("ended")
        failures = list(OutboxMessage.objects.exclude(last_error="").values_list("last_error"))
        assert not failures, failures
        return HistoryMessage.objects.count() == number

    eventually(done, 30)
