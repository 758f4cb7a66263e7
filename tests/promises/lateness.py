"""How long messages took, less the time that a death may cost them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from tests.killer import Killer
from tests.sql import query

SLACK = timedelta(seconds=10)

Span = tuple[datetime, datetime]


def overlap(life: Span, spans: Iterable[Span]) -> timedelta:
    """How much of a life lies in any of the spans."""
    begin, end = life
    covered = timedelta()
    reached = begin
    for since, until in sorted(spans):
        since, until = max(since, reached), min(until, end)
        if until > since:
            covered += until - since
            reached = until
    return covered


def excuses(killer: Killer, lease: int, redispatch: int) -> dict[UUID, list[Span]]:
    """For each message, the lease or the re-dispatch time behind each death that had it in hand."""
    found: dict[UUID, list[Span]] = defaultdict(list)
    for blow in killer.blows:
        wait = timedelta(seconds=redispatch if blow.name == "worker" else lease)
        for message_id in blow.held:
            found[message_id].append((blow.at, blow.at + wait))
    return found


def expect_none_late(killer: Killer, *, lease: int, redispatch: int) -> None:
    """From acceptance to done in a lease, a re-dispatch time and ten seconds, whatever dies.

    The lease counts only for a message that a process died with, once for each of these deaths.
    While a process is down, from its death to the successor's word that it is ready, nobody is
    late: that is this machine's doing. What the product does with its time counts in full.
    """
    downs = [(down.since, down.until) for down in killer.downs]
    held = excuses(killer, lease, redispatch)
    limit = timedelta(seconds=redispatch) + SLACK
    took = {}
    for message_id, received_at, done_at in query(
        "SELECT id, received_at, done_at FROM outbox_history"
    ):
        life = (received_at, done_at)
        own = held.get(message_id, [])
        took[message_id] = (done_at - received_at - overlap(life, [*downs, *own]), life, own)
    slowest = max(took.values())
    print(f"slowest beside deaths: {slowest[0].total_seconds():.1f} s, of {limit}: {slowest[1:]}")
    print(f"longest start: {max(down.seconds for down in killer.downs):.1f} s")
    assert {message_id: each for message_id, each in took.items() if each[0] > limit} == {}
