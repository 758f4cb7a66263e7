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
from outbox.prepare import Preparer
from tests.app.filling import state
from tests.factories import EPOCH, event
from tests.promises.by_hand import (
    PATIENCE,
    index,
    indexed,
    make_given_back_due,
    prepare_all,
    sessions,
    take_in,
)
from tests.service import Service, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

SENDERS, PREPARERS = 6, 2
THREADS = SENDERS + PREPARERS

Sent = tuple[str, str, int]  # webhook-id, event type, timestamp
Door = Callable[[dict[str, Any], str], UUID]
"""Takes an event and its webhook-id; the id of the message that was accepted for it."""


def deliveries_of(source_id: str) -> list[Sent]:
    """Events of one Post, several of them with equal timestamps."""
    kinds = ["post.created", *random.choices(["post.updated", "post.deleted"], [3, 1], k=6)]
    return [
        (f"{source_id}x{random.randrange(10**9)}x{number}", kind, random.randrange(4))
        for number, kind in enumerate(kinds)
    ]


def content_of(sent: Sent) -> dict[str, Any]:
    """What a delivery brings: its own title, one name of its own and some that many share."""
    webhook_id, kind, at = sent
    if kind == "post.deleted":
        return {}
    own, shared = f"own {webhook_id}", [f"shared {n}" for n in range(at + 2)]
    return {"title": webhook_id, "body": "", "categories": [own], "tags": [*shared, own]}


def model(deliveries: list[Sent]) -> tuple[Any, ...]:
    """What a Post is after these deliveries, in whatever order they came."""
    newest = max(deliveries, key=lambda sent: (sent[2], "deleted" in sent[1], sent[0].encode()))
    content = content_of(newest)
    at = EPOCH.replace(second=newest[2])
    return (
        content.get("title", ""),
        content.get("body", ""),
        set(content.get("categories", ())),
        set(content.get("tags", ())),
        at,
        newest[0],
        None if content else at,
    )


def words_of(deliveries: list[Sent]) -> set[str]:
    """What the Post is found by: nothing once it is deleted."""
    title, _, categories, tags, *_ = model(deliveries)
    return {part for text in (title, *categories, *tags) for part in text.split()}


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


def send(door: Door, share: list[tuple[str, Sent]]) -> list[UUID]:
    return [
        door(event(sent[1], source_id, at=sent[2], **content_of(sent)), sent[0])
        for source_id, sent in share
    ]


def prepare_while(coming: Callable[[], bool]) -> None:
    preparer = Preparer(batch_size=7)
    while coming():
        make_given_back_due()
        preparer.step()
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
    everything = [
        (source_id, sent) for source_id, all_sent in sent_for.items() for sent in all_sent
    ]
    number = len(everything)
    everything += random.sample(everything, k=number // 5)  # the sender tries again
    random.shuffle(everything)

    with sessions(THREADS) as pool:
        coming = [pool.submit(send, door, everything[n::SENDERS]) for n in range(SENDERS)]
        preparing = [
            pool.submit(prepare_while, lambda: not all(share.done() for share in coming))
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
