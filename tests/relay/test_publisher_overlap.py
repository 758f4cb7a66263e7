"""A batch that is started while the confirms of the one before are still to come."""

from __future__ import annotations

import time
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from outbox import Message
from relay.publisher import Publisher
from tests.relay.conftest import NewMessage, NewQueue
from tests.relay.tcp_proxy import TcpProxy
from tests.waiting import eventually

pytestmark = pytest.mark.amqp

DEADLINE = 1.0  # of `behind_proxy`


def ids(batch: list[Message]) -> set[Any]:
    return {each.id for each in batch}


def length(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).message_count)


def test_two_batches_in_the_air_are_each_confirmed(
    channel: Any, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    publisher.publish([message()])
    batches = [[message() for _ in range(number)] for number in (700, 3, 900)]
    started = [publisher.start(batch) for batch in batches]
    for sending, batch in zip(started, batches, strict=True):
        outcome = publisher.finish(sending)
        assert (outcome.confirmed, outcome.refused, outcome.outage) == (ids(batch), {}, None)
    assert length(channel, queue) == 1604


def test_a_word_that_came_in_time_counts_however_late_it_is_read(
    app: Celery, channel: Any, queue: str, message: NewMessage
) -> None:
    """The relay may have stood still meanwhile, for a database that was slow."""
    publisher = Publisher(app, deadline=0.5)
    publisher.publish([message()])
    batch = [message() for _ in range(300)]
    sending = publisher.start(batch)
    eventually(lambda: length(channel, queue) == 301 and time.monotonic() > sending.deadline)
    outcome = publisher.finish(sending)
    publisher.close()
    assert (outcome.confirmed, outcome.outage) == (ids(batch), None)
    assert length(channel, queue) == 301


def test_the_first_batches_on_a_new_connection_may_overlap_too(
    message: NewMessage, publisher: Publisher
) -> None:
    batches = [[message() for _ in range(5)] for _ in range(2)]
    started = [publisher.start(batch) for batch in batches]
    assert [publisher.finish(each).confirmed for each in started] == [ids(each) for each in batches]


def test_a_message_that_closes_the_channel_is_refused_alone_whatever_is_in_the_air(
    app: Celery, channel: Any, new_queue: NewQueue, message: NewMessage, publisher: Publisher
) -> None:
    missing, fine = new_queue(), new_queue()
    exchange = Exchange(missing, type="topic", no_declare=True)
    app.amqp.queues.add(Queue(missing, exchange, routing_key="x", no_declare=True))
    publisher.publish([message(fine)])
    batches = [[message(fine) for _ in range(30)] for _ in range(3)]
    culprit = message(missing)
    batches[1].insert(20, culprit)

    started = [publisher.start(batch) for batch in batches]
    outcomes = [publisher.finish(each) for each in started]

    refused = [list(outcome.refused) for outcome in outcomes]
    assert refused == [[], [culprit.id], []]
    for outcome, batch in zip(outcomes, batches, strict=True):
        assert outcome.confirmed == ids(batch) - {culprit.id}
        assert outcome.outage is None
    assert length(channel, fine) >= 91


def test_a_message_that_no_queue_takes_is_refused_in_its_own_batch(
    channel: Any, new_queue: NewQueue, message: NewMessage, publisher: Publisher
) -> None:
    deleted, kept = new_queue(), new_queue()
    publisher.publish([message(deleted), message(kept)])
    channel.queue_delete(deleted)
    lost = message(deleted)
    started = [publisher.start(batch) for batch in ([message(kept)], [lost], [message(kept)])]
    outcomes = [publisher.finish(each) for each in started]
    assert [list(outcome.refused) for outcome in outcomes] == [[], [lost.id], []]
    assert [len(outcome.confirmed) for outcome in outcomes] == [1, 0, 1]


def test_what_was_in_the_air_when_the_connection_broke_is_sent_again(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    behind_proxy.publish([message()])
    batches = [[message() for _ in range(300)] for _ in range(2)]
    proxy.cut(after=200_000)
    started = [behind_proxy.start(batch) for batch in batches]
    outcomes = [behind_proxy.finish(each) for each in started]
    assert [outcome.confirmed for outcome in outcomes] == [ids(each) for each in batches]
    assert {outcome.outage for outcome in outcomes} == {None}


def test_an_outage_is_one_for_all_that_is_in_the_air(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    behind_proxy.publish([message()])
    batches = [[message() for _ in range(300)] for _ in range(3)]
    proxy.freeze(after=60_000)
    begin = time.monotonic()
    started = [behind_proxy.start(batch) for batch in batches]
    outcomes = [behind_proxy.finish(each) for each in started]
    assert time.monotonic() - begin < 2 * DEADLINE, "each waited for its own deadline"
    assert all(outcome.outage for outcome in outcomes)
    assert 0 < len(outcomes[0].confirmed) < 300
    assert outcomes[2].confirmed == set()

    proxy.thaw()
    rest = [each for batch in batches for each in batch if each.id not in outcomes[0].confirmed]
    assert behind_proxy.publish(rest).confirmed == ids(rest)
