"""Any sequence of deliveries, from several senders at once: what is left is what a model says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from app.models import Category, DeliveryConflict, Post, Tag, WebhookDelivery
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import FINISHABLE
from outbox.testing import drain
from tests.app.filling import state
from tests.factories import SECRET, signed_delivery
from tests.promises.by_hand import PATIENCE, index, indexed, prepare_while, sessions
from tests.promises.post_model import Sent, as_stored, model, words_of
from tests.properties import new_each_time, same_each_time
from tests.sql import query

# Long enough for the search of a smaller example that fails too.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

SENDERS, PREPARERS, WORKERS = 4, 2, 2

# Ordered as bytes and in no other way; one is the start of another.
WEBHOOK_IDS = ["a", "ab", "B", "Z.1", "_", "~", "10", "9"]
# Some are one name, once they are normalised and trimmed; the case of a letter makes two of them.
NAMES = ["café", "cafe\u0301", "\u00a0café\t", "Café", "new\u0323s", " ne\u1e89s", "news"]
# Other words for the same moments.
ZONES = [0, -11, 14]


@dataclass(frozen=True, slots=True)
class Round:
    """Deliveries that come at once; then all that they brought is done, or left for later."""

    deliveries: list[Sent]
    done: bool


def deliveries() -> st.SearchStrategy[Sent]:
    ids, posts = st.sampled_from(WEBHOOK_IDS), st.sampled_from(["post-1", "post-2"])
    when = {"at": st.integers(0, 1), "zone": st.sampled_from(ZONES)}
    names = st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)
    texts = {"title": st.sampled_from(["One", "Two"]), "text": st.sampled_from(["three", "four"])}
    content = {**texts, "categories": names, "tags": names}
    whole = st.sampled_from(["post.created", "post.updated"])
    return st.one_of(
        st.builds(Sent, ids, posts, whole, **when, **content),
        st.builds(Sent, ids, posts, whole, **when, **content),
        st.builds(Sent, ids, posts, st.just("post.deleted"), **when),
    )


def sequences() -> st.SearchStrategy[list[Round]]:
    """Some deliveries in any order, each of them once, several times or not at all."""

    def among(sent: list[Sent]) -> st.SearchStrategy[list[Round]]:
        at_once = st.lists(st.sampled_from(sent), min_size=1, max_size=8)
        return st.lists(st.builds(Round, at_once, st.booleans()), min_size=1, max_size=3)

    return st.lists(deliveries(), min_size=2, max_size=10).flatmap(among)


@dataclass(frozen=True, slots=True)
class Answered:
    sent: Sent
    status: int
    content: bytes

    @property
    def message_id(self) -> UUID:
        return UUID(json.loads(self.content)["message_id"])


@pytest.fixture
def pool(settings: Any, transactional_db: None) -> Iterator[ThreadPoolExecutor]:
    settings.WEBHOOK_SECRETS = [SECRET]
    with sessions(SENDERS + PREPARERS + WORKERS) as pool:
        yield pool


def send(share: list[Sent], together: Barrier) -> list[Answered]:
    together.wait()
    answers = []
    for sent in share:
        delivery = signed_delivery(sent.body, webhook_id=sent.webhook_id)
        answer = Client().post("/webhooks/posts/", **delivery.request)
        answers.append(Answered(sent, answer.status_code, answer.content))
    return answers


def work_while(coming: Callable[[], bool], turn: int) -> None:
    """Do what is ready, as long as more may come; the workers begin at different ends."""
    while coming():
        ready = OutboxMessage.objects.filter(state__in=FINISHABLE).values_list("pk", flat=True)
        for message_id in ready.order_by("-pk" if turn % 2 else "pk"):
            index(message_id)


def play(rounds: list[Round], pool: ThreadPoolExecutor) -> list[Answered]:
    """Deliver the rounds while post-processors and workers are at it; at the end all is done."""
    answers = []
    for each in rounds:
        shares = [share for n in range(SENDERS) if (share := each.deliveries[n::SENDERS])]
        together = Barrier(len(shares), timeout=PATIENCE)
        sending = [pool.submit(send, share, together) for share in shares]

        def coming(sending: list[Any] = sending) -> bool:
            return not all(share.done() for share in sending)

        behind = [pool.submit(prepare_while, coming, 3) for _ in range(PREPARERS)]
        behind += [pool.submit(work_while, coming, turn) for turn in range(WORKERS)]
        answers += [answer for share in sending for answer in share.result(PATIENCE)]
        for other in behind:
            other.result(PATIENCE)
        if each.done:
            drain()
    drain()
    return answers


def accepted_of(answers: list[Answered]) -> list[Answered]:
    """Of each webhook-id the answer to the body that was accepted: one, and the same to each copy.

    Which of several bodies it is, the race decides; the others are refused.
    """
    accepted = []
    for webhook_id in {answer.sent.webhook_id for answer in answers}:
        own = [answer for answer in answers if answer.sent.webhook_id == webhook_id]
        winners = {answer.sent for answer in own if answer.status == 202}
        assert len(winners) == 1, own
        [told] = {answer for answer in own if answer.sent in winners}
        assert {answer.status for answer in own if answer != told} <= {409}, own
        accepted.append(told)
    return accepted


def assert_the_books_are_right(answers: list[Answered], accepted: list[Answered]) -> None:
    """Ledger, conflicts and history say what the senders were told."""
    messages = {told.sent.webhook_id: told.message_id for told in accepted}
    assert books(WebhookDelivery, "message_id") == {
        (told.sent.webhook_id, told.sent.digest, told.message_id) for told in accepted
    }
    refused = Counter(answer.sent for answer in answers if answer.status == 409)
    assert books(DeliveryConflict, "message_id", "times") == {
        (sent.webhook_id, sent.digest, messages[sent.webhook_id], times)
        for sent, times in refused.items()
    }
    done = HistoryMessage.objects.values_list("id", "attempts")
    assert sorted(done) == sorted((told.message_id, 0) for told in accepted)
    assert not OutboxMessage.objects.exists()


def books(model: Any, *columns: str) -> set[tuple[Any, ...]]:
    rows = model.objects.values_list("webhook_id", "digest", *columns)
    return {(webhook_id, bytes(digest), *rest) for webhook_id, digest, *rest in rows}


def assert_the_posts_are_the_models(accepted: list[Sent]) -> None:
    """Texts, relations and tombstones, what readers see, and what they find it by."""
    of_each = defaultdict(list)
    for sent in accepted:
        of_each[sent.source_id].append(sent)
    wanted = {source_id: model(own) for source_id, own in of_each.items()}
    posts = Post.everything.values_list("source_id", flat=True)
    assert {source_id: state(source_id) for source_id in posts} == wanted
    words = {source_id: words_of(own) for source_id, own in of_each.items()}
    assert {source_id: indexed(source_id) for source_id in posts} == words
    visible = {source_id for source_id, own in wanted.items() if own[-1] is None}
    assert set(Post.objects.values_list("source_id", flat=True)) == visible
    # A version that another has replaced since may have left a name behind, without a Post.
    for kind, place in (Category, 2), (Tag, 3):
        given = {as_stored(n) for sent in accepted for n in (sent.categories, sent.tags)[place - 2]}
        used = {name for own in wanted.values() for name in own[place]}
        assert used <= set(kind.objects.values_list("name", flat=True)) <= given


# For so few rows at a fraction of what TRUNCATE costs.
FORGET = """
    DELETE FROM app_post_categories; DELETE FROM app_post_tags; DELETE FROM app_post;
    DELETE FROM app_category; DELETE FROM app_tag;
    DELETE FROM app_delivery; DELETE FROM app_delivery_conflict;
    DELETE FROM outbox_message; DELETE FROM outbox_history
"""


def check(rounds: list[Round], pool: ThreadPoolExecutor) -> None:
    query(FORGET)
    answers = play(rounds, pool)
    accepted = accepted_of(answers)
    assert_the_books_are_right(answers, accepted)
    assert_the_posts_are_the_models([told.sent for told in accepted])


@same_each_time(examples=20)
@given(rounds=sequences())
def test_any_sequence_of_deliveries_leaves_what_the_model_says(
    rounds: list[Round], pool: ThreadPoolExecutor
) -> None:
    check(rounds, pool)


@pytest.mark.slow
@new_each_time(examples=300)
@given(rounds=sequences())
def test_other_sequences_in_each_run_do_so_too(
    rounds: list[Round], pool: ThreadPoolExecutor
) -> None:
    check(rounds, pool)
