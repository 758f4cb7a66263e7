"""Step 3: claim messages, publish them, mark those that the broker confirmed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from outbox import backlog, registry, store, systemd
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost
from outbox.last_error import NO_WORD
from outbox.refunds import Refunds
from relay.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from outbox.message import Message
    from relay.publisher import Outcome, Publisher

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
LONGEST_SENDING_SECONDS = 5.0
"""After this time no further batch of the same kind is begun in a step."""


class Dispatcher:
    """Claims, publishes, marks. No transaction is open while it talks to the broker.

    Once it is `stopping`, no further batch is begun: what is left of a claim is given back.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        batch_size: int,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._publisher = publisher
        self._batch_size = batch_size
        self._stopping = stopping
        self._window = Window()
        self._refunds = Refunds()
        self._confirmed: list[Message] = []
        self._refused: list[tuple[Message, str]] = []
        self._pause_seconds = 0.0
        self._resume_at = 0.0

    def step(self) -> bool:
        """Send a batch of each kind, and one suspect by itself. True if there is probably more."""
        self.settle()
        if self._paused():
            return False
        ready, overdue, suspect = backlog.any_due_to_send()
        if not (ready or overdue or suspect):
            return False
        self._window.measure()
        allowed = registry.allowed_tasks()
        more = False
        if ready and (rooms := self._window.rooms(self._batch_size)):
            batch = store.claim_ready(rooms, allowed)
            more |= self._send(batch, entering=True) and len(batch) >= self._batch_size
        if overdue and not self._paused():
            batch = store.claim_overdue(self._window.queues(), allowed, limit=self._batch_size)
            more |= self._send(batch) and len(batch) >= self._batch_size
        if suspect and not self._paused():
            # One between two batches: what kills a relay must not bury its neighbours.
            open_queues = list(self._window.rooms(1))
            more |= self._send(store.claim_unsent_suspect(open_queues, allowed))
        return more

    def settle(self) -> None:
        """Write what became of the messages, also what a lost connection left unwritten.

        The lease guards late writes. Raises OperationalError while the database is away.
        """
        if self._confirmed:
            store.mark_dispatched(self._confirmed)
            self._confirmed = []
        self._refunds.settle()
        while self._refused:
            self._fail(*self._refused[0])
            self._refused.pop(0)

    def _paused(self) -> bool:
        return self._stopping() or time.monotonic() < self._resume_at

    def _send(self, claimed: list[Message], *, entering: bool = False) -> bool:
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
                outcome = self._publish(batch, entering=entering)
                if outcome.outage is not None:
                    self._pause(outcome.outage)
                    return False
                self._resume()
        finally:
            self._refunds.owe(left, unsent=True)
        return bool(claimed)

    def _publish(self, batch: list[Message], *, entering: bool) -> Outcome:
        outcome = self._publisher.publish(batch)
        self._confirmed = [message for message in batch if message.id in outcome.confirmed]
        self._refused = [(m, outcome.refused[m.id]) for m in batch if m.id in outcome.refused]
        if entering:
            self._window.sent(self._confirmed)
        # Nobody's fault: what an outage kept from being sent is given back with its attempt.
        rest = [message for message in batch if not outcome.settled(message.id)]
        self._refunds.owe([each for each in rest if each.id in outcome.written])
        self._refunds.owe([each for each in rest if each.id not in outcome.written], unsent=True)
        self.settle()
        return outcome

    def _gave_up(self, message: Message) -> bool:
        """A suspect whose tries are used up, each without a word, is not sent again."""
        limit = registry.max_attempts(message.event_type)
        if message.attempts <= limit:
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
