"""Deliveries of many Posts, shuffled, from many threads: what is left is what a model says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from outbox.models import HistoryMessage, OutboxMessage
from tests.app.filling import state
from tests.promises.by_hand import (
    PATIENCE,
    index,
    indexed,
    prepare_all,
    prepare_while,
    sessions,
    take_in,
)
from tests.promises.post_model import Sent, model, words_of
from tests.service import Service, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

SENDERS, PREPARERS = 6, 2
THREADS = SENDERS + PREPARERS

Door = Callable[[dict[str, Any], str], UUID]
"""Takes an event and its webhook-id; the id of the message that was accepted for it."""


def deliveries_of(source_id: str) -> list[Sent]:
    """Events of one Post, several of them with equal timestamps."""
    kinds = ["post.created", *random.choices(["post.updated", "post.deleted"], [3, 1], k=6)]
    return [
        delivery(f"{source_id}x{random.randrange(10**9)}x{number}", source_id, kind)
        for number, kind in enumerate(kinds)
    ]


def delivery(webhook_id: str, source_id: str, kind: str) -> Sent:
    """It brings its own title, one name of its own and some that many share."""
    at = random.randrange(4)
    own, shared = f"own {webhook_id}", [f"shared {n}" for n in range(at + 2)]
    tags = (*shared, own)
    return Sent(webhook_id, source_id, kind, at, title=webhook_id, categories=(own,), tags=tags)


def links() -> int:
    """Rows of both tables of relations."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM app_post_categories)"
            " + (SELECT count(*) FROM app_post_tags)"
        )
        [(number,)] = cursor.fetchall()
    return int(number)


def post_to(service: Service) -> Door:
    """The service's own door, as the sender sees it."""

    def post(event: dict[str, Any], webhook_id: str) -> UUID:
        answer = service.deliver(event, webhook_id)
        assert answer.status == 202, answer
        return UUID(answer.body["message_id"])

    return post


@pytest.fixture
def door(request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path) -> Iterator[Door]:
    if request.param == "record":
        yield take_in
        return
    with running(tmp_path, only={"web"}, WEB_CONCURRENCY="2") as service:
        yield post_to(service)


def send(door: Door, share: list[Sent]) -> list[UUID]:
    return [door(sent.event, sent.webhook_id) for sent in share]


def prepare(coming: Callable[[], bool]) -> None:
    prepare_while(coming, batch_size=7)
    prepare_all(batch_size=7)


def work(share: list[UUID]) -> list[str]:
    return [index(message_id) for message_id in share]


@pytest.mark.parametrize(
    ("posts", "door"),
    [(20, "record"), pytest.param(100, "http", marks=pytest.mark.slow)],
    indirect=["door"],
)
def test_of_shuffled_deliveries_from_many_threads_the_newest_wins_whole(
    posts: int, door: Door
) -> None:
    sent_for = {f"post{n}": deliveries_of(f"post{n}") for n in range(posts)}
    everything = [sent for all_sent in sent_for.values() for sent in all_sent]
    number = len(everything)
    everything += random.sample(everything, k=number // 5)  # the sender tries again
    random.shuffle(everything)

    with sessions(THREADS) as pool:
        coming = [pool.submit(send, door, everything[n::SENDERS]) for n in range(SENDERS)]
        preparing = [
            pool.submit(prepare, lambda: not all(share.done() for share in coming))
            for _ in range(PREPARERS)
        ]
        accepted = {message_id for share in coming for message_id in share.result(PATIENCE)}
        for prepared in preparing:
            prepared.result(timeout=PATIENCE)
        assert len(accepted) == OutboxMessage.objects.count() == number
        assert {source_id: state(source_id) for source_id in sent_for} == {
            source_id: model(all_sent) for source_id, all_sent in sent_for.items()
        }
        wanted = [model(all_sent) for all_sent in sent_for.values()]
        assert links() == sum(len(categories) + len(tags) for _, _, categories, tags, *_ in wanted)
        assert set(OutboxMessage.objects.values_list("state", "attempts")) == {("ready", 0)}

        shuffled = random.sample(sorted(accepted), k=number)
        worked = [pool.submit(work, shuffled[n::THREADS]) for n in range(THREADS)]
        outcomes = [word for share in worked for word in share.result(PATIENCE)]

    assert outcomes == ["done"] * number
    assert set(HistoryMessage.objects.values_list("attempts", flat=True)) == {0}
    assert {source_id: indexed(source_id) for source_id in sent_for} == {
        source_id: words_of(all_sent) for source_id, all_sent in sent_for.items()
    }
