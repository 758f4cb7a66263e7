"""Deliveries that come at once, taken in by threads of the test's process in groups."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections

from app import group_commit
from app.arrival import Arrival
from app.ledger import Acceptance, Delivery
from app.payload import parse
from app.webhook import record
from outbox.entry import draft
from outbox.side_connection import SideConnection
from tests.factories import event, signed_delivery
from tests.gate import Gate, closed, wait_for_sessions_at
from tests.waiting import eventually

Submit = Callable[..., Future[Any]]

PATIENCE = 20.0
# Where the group of the delivery `first` waits, in mid-statement.
GATE = Gate("group_gate", 20_260_401, "INSERT", "app_delivery", "NEW.webhook_id = 'first'")
PAYLOAD: dict[str, Any] = {
    "webhook_id": "msg",
    "timestamp": "2026-01-01T00:00:00+00:00",
    "title": "",
    "body": "",
    "categories": [],
    "tags": [],
}


def arrival(webhook_id: str | None = None, source_id: str = "post-1", **changes: Any) -> Arrival:
    """A delivery that is good, unless `changes` to its message say otherwise."""
    webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
    message = draft("post.created", {"source_id": source_id} | PAYLOAD)._replace(**changes)
    body = signed_delivery(event(source_id=source_id)).body
    delivery = Delivery(webhook_id, datetime.now(UTC), body, None, "/webhooks/posts/", "key")
    return Arrival(delivery, hashlib.sha256(body).hexdigest(), source_id, message)


def take_in(webhook_id: str, event_type: str = "post.created", source_id: str = "post-1") -> Any:
    """What the webhook does with a delivery that is verified."""
    body = signed_delivery(event(event_type, source_id)).body
    return record(Delivery(webhook_id, datetime.now(UTC), body, parse(body)))


@contextmanager
def at_once(number: int) -> Iterator[Submit]:
    """So many threads; a call of theirs leaves no connection."""

    def closing(call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        yield lambda *call: pool.submit(closing, *call)


@contextmanager
def grouping() -> Iterator[None]:
    """Let this process commit in groups, and the first of them be held up."""
    GATE.plant()
    group_commit.start()
    try:
        yield
    finally:
        group_commit.stop()
        GATE.remove()


@contextmanager
def behind_first(submit: Submit) -> Iterator[None]:
    """What comes inside comes while the delivery `first` is being written."""
    with closed(GATE.key):
        first = submit(group_commit.store_arrival, arrival("first"))
        wait_for_sessions_at(GATE.key)
        yield
    assert isinstance(first.result(timeout=PATIENCE), Acceptance)


def together(*calls: tuple[Any, ...]) -> list[Any]:
    """What becomes of calls that are made while a commit is under way, in their order."""
    with at_once(len(calls) + 1) as submit:
        futures = []
        with behind_first(submit):
            for number, call in enumerate(calls, start=1):
                futures.append(submit(*call))
                queued(number)
        return outcomes(futures)


def queued(number: int) -> None:
    """Wait until so many requests wait for the next group."""
    eventually(lambda: len(committer()._queue) == number)


def committer() -> group_commit.GroupCommit:
    """The one of this process."""
    started = group_commit._committer
    assert started is not None
    return started


def outcomes(futures: Sequence[Future[Any]]) -> list[Any]:
    """What became of each: what it returned, or the kind of its error."""
    errors = [future.exception(timeout=PATIENCE) for future in futures]
    return [
        type(error) if error else future.result()
        for error, future in zip(errors, futures, strict=True)
    ]


class Statements:
    """What the groups' sessions are asked to run on the ledger."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        run = SideConnection.run

        def noting(own: SideConnection, statement: str, *given: Any, **named: Any) -> Any:
            if "app_delivery" in statement:
                self.seen.append(statement)
            return run(own, statement, *given, **named)

        monkeypatch.setattr(SideConnection, "run", noting)
