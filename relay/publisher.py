"""Publishes outbox messages as Celery tasks, in batches, in bounded time."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from relay.confirmed import ConfirmedSender
from relay.errors import Blocked, Outage
from relay.outcome import Outcome
from relay.plain import PlainSender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from outbox import Message

__all__ = ["Outcome", "Publisher"]


class Sender(Protocol):
    """One way to send, with a connection that it keeps until it is told to drop it."""

    @property
    def connected(self) -> bool: ...

    def send(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> None:
        """Settle each message in `outcome`, or raise Outage; `deadline` by monotonic()."""

    def abandon(self) -> None: ...

    def close(self) -> None: ...


class Publisher:
    """Publishes batches on one connection, opened when needed and kept.

    On AMQP every message is confirmed by the broker, and one that no queue takes is refused;
    on other brokers a message counts as sent when kombu has handed it over. `deadline` bounds a
    batch, connecting included, in seconds (but for the resolver's own time-outs, and on other
    brokers as far as their transport allows). Not thread-safe: one for each process.
    """

    def __init__(self, app: Celery, *, deadline: float) -> None:
        self._deadline = deadline
        app.finalize(auto=True)  # here its errors are loud; later they would be a message's fault
        transport = app.connection_for_write().transport
        self._sender: Sender
        if getattr(transport, "driver_type", "") == "amqp":
            self._sender = ConfirmedSender(app)
        else:
            self._sender = PlainSender(app, deadline)

    def publish(self, messages: Sequence[Message]) -> Outcome:
        """Send the messages; never raises for the broker's faults.

        Those that were in the air when the connection broke may arrive, and are in neither
        `confirmed` nor `refused`.
        """
        deadline = monotonic() + self._deadline
        outcome = Outcome()
        while rest := [each for each in messages if not outcome.settled(each.id)]:
            reused = self._sender.connected
            try:
                self._sender.send(rest, outcome, deadline)
            except Outage as exc:
                self._sender.abandon()
                # A kept connection may have died while idle. What was sent on it is sent
                # again: a copy does no harm, and a failure would be one of the past.
                if reused and monotonic() < deadline and not isinstance(exc, Blocked):
                    continue
                return replace(outcome, outage=str(exc))
            except BaseException:  # a signal's handler raised: the connection may be mid-frame
                self._sender.abandon()
                raise
        return outcome

    def close(self) -> None:
        """Close the connection, within a second or so. A later publish opens a new one."""
        self._sender.close()
