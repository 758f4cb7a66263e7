"""Step 3: claim messages, publish them, mark those that the broker confirmed."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outbox import registry, store, systemd
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost
from outbox.last_error import NO_WORD
from outbox.refunds import Refunds
from relay.batch_size import QUICK_SECONDS, BatchSize
from relay.due import Due
from relay.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outbox.message import Message
    from relay.publisher import Outcome, Publisher, Sending

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
AIR_SECONDS = 0.02
"""How long the broker's word on a small batch may wait to be read."""
LONGEST_SENDING_SECONDS = 5.0
"""After this time no further batch of the same kind is begun in a step."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch that was sent, and whose confirms are still to come."""

    sending: Sending
    messages: Sequence[Message]
    entering: bool
    """They were ready, and enter the window of their queues."""
    began: float
    """By monotonic()."""


class Dispatcher:
    """Claims, publishes, marks. No transaction is open while it talks to the broker.

    While there is more, the next batch is claimed and sent before the broker's word on the last one
    or two is waited for: it always has something to do. Once it is `stopping`, no further batch is
    begun: what is left of a claim is given back.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        batch_size: int,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._publisher = publisher
        self._sizes = BatchSize(batch_size)
        self._batch_size = 0
        self._stopping = stopping
        self._due = Due()
        self._window = Window()
        self._refunds = Refunds()
        self._air: deque[Flight] = deque()
        self._more = self._streaming = False
        self._confirmed: list[Message] = []
        self._refused: list[tuple[Message, str]] = []
        self._pause_seconds = 0.0
        self._resume_at = 0.0

    def step(self) -> bool:
        """Send a batch of each kind, and one suspect by itself. True if there is probably more."""
        more = self._advance(streaming=False)
        if not more:
            self.settle()
        return more

    def advance(self) -> bool:
        """The same, as a stream of single messages wants it: `settle` when none follows.

        Ready messages are expected and not looked for first, and what was sent stays in the air, so
        that the next one need not wait for the word on the last. The later that is written, the
        more often the task is done by then, and there is nothing left to mark.
        """
        more = self._advance(streaming=True)
        if not (more or self._is_young()):
            self.settle()
        return more

    def _advance(self, *, streaming: bool) -> bool:
        self._streaming = streaming
        try:
            self._write()
            self._more = not self._paused() and self._send_due()
        except Exception:
            self._land()  # later the broker's word on what is in the air could come too late
            raise
        return self._more

    def settle(self) -> None:
        """Write what became of the messages, also what a lost connection left unwritten.

        The lease guards late writes. Raises OperationalError while the database is away.
        """
        self._land()
        self._write()

    def _write(self) -> None:
        if self._confirmed:
            store.mark_dispatched(self._confirmed)
            self._confirmed = []
        self._refunds.settle()
        while self._refused:
            self._fail(*self._refused[0])
            self._refused.pop(0)

    def _paused(self) -> bool:
        return self._stopping() or time.monotonic() < self._resume_at

    def _send_due(self) -> bool:
        due = self._due
        if not due.look(expecting=self._streaming):
            return False
        self._batch_size = self._sizes.next(full=self._more)
        unmarked = [m for flight in self._air if flight.entering for m in flight.messages]
        self._window.measure(self._batch_size, unmarked)
        allowed = registry.allowed_tasks()
        more = False
        if due.ready and (rooms := self._window.rooms(self._batch_size)):
            with due.claiming_ready() as seen:
                batch = store.claim_ready(rooms, allowed, seen)
            landed = self._send(batch, entering=True)
            due.ready = self._window.has_more(rooms, batch)
            more |= landed and due.ready
        else:
            due.ready = False
        if due.overdue and not self._paused():
            queues, limit = self._window.queues(), self._batch_size
            batch = store.claim_overdue(queues, allowed, limit=limit, seen=due.overdue_seen)
            due.overdue = len(batch) >= limit
            more |= self._send(batch) and due.overdue
        if due.suspect and not self._paused():
            # One between two batches: what kills a relay must not bury its neighbours.
            self.settle()
            open_queues = list(self._window.rooms(1))
            batch = store.claim_unsent_suspect(open_queues, allowed, due.suspect_seen)
            due.suspect = bool(batch)
            more |= self._send(batch, alone=True)
        return more

    def _send(self, claimed: list[Message], *, entering: bool = False, alone: bool = False) -> bool:
        """Publish claimed messages, in batches. False if the broker is away or none was claimed."""
        left = claimed
        # What is left then is given back: past half of the lease another relay might be sending it,
        # neither a signal nor the watchdog waits for ever, and each kind has its turn in a step.
        patience = min(outbox_settings().lease_seconds / 2, LONGEST_SENDING_SECONDS)
        stop_at = time.monotonic() + patience
        try:
            left = [message for message in claimed if not self._gave_up(message)]
            while left and time.monotonic() < stop_at and not self._stopping():
                batch, left = left[: self._batch_size], left[self._batch_size :]
                flight = Flight(self._publisher.start(batch), batch, entering, time.monotonic())
                self._air.append(flight)
                if entering:
                    self._window.sent(batch)
                landed = self._land(leave=0 if alone else self._leave())
                self._write()
                if not landed:
                    return False
        finally:
            self._refunds.owe(left, unsent=True)
        return bool(claimed)

    def _leave(self) -> int:
        """How many of the batches in the air may stay there."""
        few = sum(len(flight.messages) for flight in self._air) < self._batch_size
        if self._streaming and few and self._is_young():
            return len(self._air)
        if not self._more:
            return 0
        return 2 if time.monotonic() - self._air[0].began < QUICK_SECONDS else 1

    def _is_young(self) -> bool:
        return not self._air or time.monotonic() - self._air[0].began < AIR_SECONDS

    def _land(self, *, leave: int = 0) -> bool:
        """Wait for the broker's word on what is in the air. False in an outage, which ends all."""
        outage: str | None = None
        while len(self._air) > (leave if outage is None else 0):
            flight = self._air.popleft()
            outcome = self._publisher.finish(flight.sending)
            self._take(flight, outcome)
            if outcome.outage is None:
                self._resume()
            else:
                outage = outage or outcome.outage
        if outage is not None:
            self._pause(outage)
        return outage is None

    def _take(self, flight: Flight, outcome: Outcome) -> None:
        batch = flight.messages
        self._confirmed += [message for message in batch if message.id in outcome.confirmed]
        if len(outcome.confirmed) == len(batch):
            return
        self._refused += [(m, outcome.refused[m.id]) for m in batch if m.id in outcome.refused]
        if flight.entering:
            self._window.sent([m for m in batch if m.id not in outcome.confirmed], -1)
        # Nobody's fault: what an outage kept from being sent is given back with its attempt.
        rest = [message for message in batch if not outcome.settled(message.id)]
        self._refunds.owe([each for each in rest if each.id in outcome.written])
        self._refunds.owe([each for each in rest if each.id not in outcome.written], unsent=True)

    def _gave_up(self, message: Message) -> bool:
        """A suspect whose tries are used up, each without a word, is not sent again."""
        if message.attempts <= 1 or message.attempts <= registry.max_attempts(message.event_type):
            return False
        self._fail(message, NO_WORD)
        return True

    def _fail(self, message: Message, reason: str) -> None:
        delay = registry.delay_seconds(message)
        limit = registry.max_attempts(message.event_type)
        try:
            state = store.fail(message, reason, delay=delay, max_attempts=limit)
        except LeaseLost:
            return  # the relay that has it now will say what becomes of it
        logger.warning("relay.refused %s is %s: %s", message.id, state, reason)

    def _pause(self, outage: str) -> None:
        if not self._pause_seconds:
            logger.error("relay.outage the broker is away: %s", outage)
        self._pause_seconds = min(
            LONGEST_PAUSE_SECONDS, self._pause_seconds * 2 or FIRST_PAUSE_SECONDS
        )
        self._resume_at = time.monotonic() + self._pause_seconds
        systemd.notify(f"STATUS=the broker is away, trying again: {outage}"[:200])

    def _resume(self) -> None:
        if self._pause_seconds:
            logger.warning("relay.recovered the broker is back")
            systemd.notify("STATUS=sending")
        self._pause_seconds = 0.0
