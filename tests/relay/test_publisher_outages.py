"""The publisher and a broker that is slow, gone, frozen or closed to publishers."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest

from outbox import Message
from relay.publisher import Outcome, Publisher
from tests.relay.conftest import NewMessage
from tests.relay.tcp_proxy import TcpProxy

pytestmark = pytest.mark.amqp

DEADLINE = 1.0  # of `behind_proxy`
SLACK = 1.0


def publish(publisher: Publisher, batch: list[Message]) -> Outcome:
    """Publish, in bounded time."""
    start = time.monotonic()
    outcome = publisher.publish(batch)
    assert time.monotonic() - start < DEADLINE + SLACK
    assert not outcome.confirmed & outcome.refused.keys()
    return outcome


def ids(batch: list[Message]) -> set[Any]:
    return {each.id for each in batch}


def test_a_broker_that_refuses_connections_is_an_outage_until_it_is_back(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    batch = [message() for _ in range(3)]
    proxy.refuse()

    outcome = publish(behind_proxy, batch)

    assert (outcome.confirmed, outcome.refused) == (set(), {})
    assert outcome.outage is not None
    assert "refused" in outcome.outage
    assert f":{proxy.port}" in outcome.outage, "it says which broker"
    proxy.listen()
    assert publish(behind_proxy, batch).confirmed == ids(batch)


def test_a_broker_that_never_answers_is_an_outage_at_the_deadline(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    batch = [message() for _ in range(3)]
    proxy.freeze()

    outcome = publish(behind_proxy, batch)

    assert (outcome.confirmed, outcome.refused) == (set(), {})
    assert "did not answer in time" in (outcome.outage or "")
    proxy.thaw()
    assert publish(behind_proxy, batch).confirmed == ids(batch)


def test_a_broker_that_freezes_between_two_batches_is_an_outage_at_the_deadline(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    publish(behind_proxy, [message()])
    proxy.freeze()
    batch = [message() for _ in range(300)]

    outcome = publish(behind_proxy, batch)

    assert outcome.confirmed == set()
    assert "did not answer in time" in (outcome.outage or "")
    proxy.thaw()
    assert publish(behind_proxy, batch).confirmed == ids(batch)


def test_what_was_confirmed_before_the_broker_froze_stays_confirmed(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    publish(behind_proxy, [message()])
    batch = [message() for _ in range(300)]
    proxy.freeze(after=60_000)

    outcome = publish(behind_proxy, batch)

    assert 0 < len(outcome.confirmed) < 300
    assert outcome.outage is not None
    proxy.thaw()
    rest = [each for each in batch if each.id not in outcome.confirmed]
    assert publish(behind_proxy, rest).confirmed == ids(rest)


def test_what_was_confirmed_before_the_connection_broke_stays_confirmed(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    batch = [message() for _ in range(300)]
    proxy.cut(after=60_000)

    outcome = publish(behind_proxy, batch)

    assert 0 < len(outcome.confirmed) < 300
    assert outcome.outage is not None
    rest = [each for each in batch if each.id not in outcome.confirmed]
    assert publish(behind_proxy, rest).confirmed == ids(rest)


def test_a_connection_that_died_while_idle_is_replaced_without_an_outage(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    publish(behind_proxy, [message()])
    proxy.cut()
    batch = [message() for _ in range(300)]

    outcome = publish(behind_proxy, batch)

    assert (outcome.confirmed, outcome.outage) == (ids(batch), None)
    assert proxy.accepted == 2


def test_one_connection_is_kept_for_all_batches(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    for _ in range(3):
        publish(behind_proxy, [message(), message()])

    assert proxy.accepted == 1


def test_a_broker_that_blocks_publishers_is_an_outage_at_once(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    publish_frame = struct.pack(">HH", 60, 40)
    reason = b"low on memory"
    payload = struct.pack(">HHB", 10, 60, len(reason)) + reason
    blocked_frame = struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce"
    proxy.answer(publish_frame, blocked_frame)
    start = time.monotonic()

    outcome = publish(behind_proxy, [message() for _ in range(50)])

    assert time.monotonic() - start < DEADLINE
    assert "low on memory" in (outcome.outage or "")
    assert outcome.confirmed == set()
    # What the broker has not read yet it may still store when its alarm ends.
    assert proxy.kept.count(publish_frame) == 1, "more than one message was risked"


def test_close_takes_a_second_at_most_when_the_broker_is_frozen(
    proxy: TcpProxy, behind_proxy: Publisher, message: NewMessage
) -> None:
    publish(behind_proxy, [message()])
    proxy.freeze()
    start = time.monotonic()

    behind_proxy.close()

    assert time.monotonic() - start < 1.5
