"""Sends the sample delivery and follows it to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

import psycopg2

from deploy.devstack import delivery
from deploy.devstack.journey import Journey
from deploy.devstack.replica_watch import ReplicaWatch

DEADLINE = 60.0
"""Seconds until a delivery that is not done counts as stuck."""
REPLICA_PATIENCE = 10.0
"""Seconds beyond its delay that the replica gets to show the Post."""

RESPONSIBLE = {"pending": "postprocess", "ready": "relay", "dispatched": "worker", "dead": "worker"}
"""Whose work a message waits for, by its state."""


class Stuck(Exception):
    """The sample did not get to its end; the message says where it stands.

    ``responsible`` names the process whose log tells more.
    """

    def __init__(self, message: str, responsible: str) -> None:
        super().__init__(message)
        self.responsible = responsible


class Waiter(Protocol):
    """Waits for a condition while it keeps an eye on the processes."""

    def wait(
        self, ready: Callable[[], bool], *, deadline: float, pause: float | None = None
    ) -> bool: ...


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a running stack is reached; ``replica_delay`` in seconds."""

    base_url: str
    database_url: str
    replica_url: str | None
    webhook_secrets: str
    replica_delay: float
    confirms: bool = True  # whether the broker confirms what it has taken (AMQP)

    @classmethod
    def of(cls, values: Mapping[str, str], replica_delay: float) -> Self:
        """From the values of ``stack.env``."""
        return cls(
            base_url=values["BASE_URL"],
            database_url=values["DATABASE_URL"],
            replica_url=values.get("DATABASE_REPLICA_URL") or None,
            webhook_secrets=values["WEBHOOK_SECRETS"],
            replica_delay=replica_delay,
            confirms=values["CELERY_BROKER_URL"].startswith(("amqp", "pyamqp")),
        )


def travel(stack: Stack, waiter: Waiter) -> Journey:
    """Send one delivery and follow it until its task is done and the replica shows its Post.

    Raises:
        Stuck: it was refused, or was not done in ``DEADLINE`` seconds.
    """
    parcel = delivery.sample(stack.webhook_secrets)
    ahead = clock_ahead(stack.database_url)
    watch = ReplicaWatch(stack.replica_url, parcel.source_id) if stack.replica_url else None
    if watch is not None:
        watch.start()
    try:
        sent, moment = time.time(), time.monotonic()
        answer = _accepted(stack.base_url, parcel)
        status = _followed(stack.base_url, answer, waiter)
        received, ready, dispatched, done = (
            datetime.fromisoformat(status[name]).timestamp() - ahead - sent
            for name in ("received_at", "ready_at", "dispatched_at", "done_at")
        )
        journey = Journey(
            received=received,
            answered=answer.seconds,
            ready=ready,
            dispatched=dispatched,
            done=done,
            categories=len(delivery.CATEGORIES),
            tags=len(delivery.TAGS),
            sent=moment,
            confirms=stack.confirms,
        )
        return _with_replica(journey, watch, stack.replica_delay, waiter)
    finally:
        if watch is not None:
            watch.stop()


def _accepted(base_url: str, parcel: delivery.Delivery) -> delivery.Answer:
    try:
        answer = delivery.send(base_url, parcel, timeout=15)
    except OSError as error:
        raise Stuck(f"the sample delivery got no answer: {error}", "web") from error
    if answer.status != 202:
        raise Stuck(
            f"the sample delivery was answered {answer.status}, not 202: {answer.body[:500]!r}",
            "web",
        )
    return answer


def _followed(base_url: str, answer: delivery.Answer, waiter: Waiter) -> dict[str, Any]:
    """The last status of the message: done. Raises Stuck."""
    path = answer.json()["status_url"]
    status: dict[str, Any] = {}

    def ended() -> bool:
        try:
            reply = delivery.get(base_url, path, timeout=5)
            status.update(reply.json() if reply.status == 200 else {})
        except (OSError, ValueError):
            return False  # the web process may be starting again; the deadline decides
        return status.get("state") in ("done", "dead")

    waiter.wait(ended, deadline=DEADLINE, pause=0.05)
    if status.get("state") != "done":
        raise Stuck(_where(status, path), RESPONSIBLE.get(str(status.get("state")), "web"))
    return status


def _where(status: dict[str, Any], path: str) -> str:
    if not status:
        return f"the sample delivery was accepted, but GET {path} gave no status"
    fields = ("state", "attempts", "received_at", "ready_at", "dispatched_at", "done_at")
    return f"the sample delivery is not done after {DEADLINE:.0f} s: " + ", ".join(
        f"{name} {status.get(name)}" for name in fields
    )


def _with_replica(
    journey: Journey, watch: ReplicaWatch | None, delay: float, waiter: Waiter
) -> Journey:
    if watch is None:
        return journey
    began = time.monotonic()
    waiter.wait(
        lambda: watch.error is not None or watch.saw(journey.is_whole),
        deadline=delay + REPLICA_PATIENCE,
        pause=0.05,
    )
    watched = journey.done + time.monotonic() - began
    return journey.seen_by(watch.sightings(journey.sent), watched=watched, error=watch.error)


def clock_ahead(database_url: str) -> float:
    """Seconds by which the database's clock is ahead of ours; its times are turned into ours."""
    with closing(psycopg2.connect(database_url, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            before = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            middle = (before + time.time()) / 2
            row = cursor.fetchone()
    return 0.0 if row is None else float(row[0]) - middle
