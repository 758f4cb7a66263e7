"""Publishes outbox messages as Celery tasks, in batches, in bounded time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from relay.confirmed import ConfirmedSender
from relay.errors import Blocked, Outage
from relay.outcome import Outcome
from relay.plain import PlainSender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery

    from outbox import Message

__all__ = ["Outcome", "Publisher", "Sending"]


class Sender(Protocol):
    """One way to send, with a connection that it keeps until it is told to drop it."""

    @property
    def connected(self) -> bool: ...

    def start(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> int:
        """Send without waiting for the broker's word, or raise Outage; a mark for `finish`."""

    def finish(self, mark: int, deadline: float) -> None:
        """Wait for the word on what was started up to the mark, or raise Outage."""

    def send(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> None:
        """Settle each message in `outcome`, or raise Outage; `deadline` by monotonic()."""

    def abandon(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Sending:
    """A batch on its way."""

    messages: Sequence[Message]
    deadline: float
    outcome: Outcome = field(default_factory=Outcome)
    outage: str | None = None
    """Why no more of it can be sent."""
    mark: int = 0
    """What its sender waits for."""


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
        self._started: list[Sending] = []
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
        return self.finish(self.start(messages))

    def start(self, messages: Sequence[Message]) -> Sending:
        """Send the messages, and leave it to `finish` to wait for the broker's word on them.

        Meanwhile another batch may be started. Batches are finished in the order of their start.
        """
        sending = Sending(messages, monotonic() + self._deadline)
        # What waits for its end is not held up by what comes after it.
        bound = min((each.deadline for each in self._started), default=sending.deadline)
        self._started.append(sending)
        self._try(sending, lambda: self._sender.start(messages, sending.outcome, bound))
        return sending

    def finish(self, sending: Sending) -> Outcome:
        """What became of a batch, at its deadline at the latest; raises nothing either."""
        outcome, deadline = sending.outcome, sending.deadline
        if sending in self._started:
            self._started.remove(sending)
        if sending.outage is None:
            self._try(sending, lambda: self._sender.finish(sending.mark, deadline))
        while rest := [each for each in sending.messages if not outcome.settled(each.id)]:
            if sending.outage is not None:
                return replace(outcome, outage=sending.outage)
            self._try(sending, partial(self._sender.send, rest, outcome, deadline))
        return outcome

    def _try(self, sending: Sending, act: Callable[[], int | None]) -> None:
        reused = self._sender.connected
        try:
            sending.mark = act() or sending.mark
        except Outage as exc:
            self._sender.abandon()
            # A kept connection may have died while idle. What was sent on it is sent again: a copy
            # does no harm, and a failure would be one of the past.
            if not reused or monotonic() >= sending.deadline or isinstance(exc, Blocked):
                sending.outage = str(exc)
        except BaseException:  # a signal's handler raised: the connection may be mid-frame
            self._sender.abandon()
            raise

    def close(self) -> None:
        """Close the connection, within a second or so. A later publish opens a new one."""
        self._sender.close()
