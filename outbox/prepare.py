"""Step 2: prepare pending messages and mark them ready, in one transaction."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from psycopg2 import errorcodes

from outbox import backlog, database, registry, store
from outbox.allowance import Allowance
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost, Permanent
from outbox.last_error import NO_WORD
from outbox.pending_claims import PendingClaims
from outbox.refunds import Refunds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outbox.message import Message

    PrepareFunction = Callable[[list[Message]], Iterable[Message] | None]

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "2s"
WAIT_SECONDS = 1.0
"""How long a message waits that another transaction is in the way of."""
SWEEP_SECONDS = 0.5
"""After which a batch is looked for from the start again, also where there is always another."""
SUSPECTS_SECONDS = 0.1
"""For so long suspects have their turn, after each batch of the others."""
LOOK_SECONDS = 0.9
"""How old a look at everything may get where fresh messages are expected."""

_NOBODYS_FAULT = (
    errorcodes.DEADLOCK_DETECTED,
    errorcodes.LOCK_NOT_AVAILABLE,
    errorcodes.SERIALIZATION_FAILURE,
)
# Lost or refused connections, a server out of disk or memory, a server shutting down.
_OUTAGE_CLASSES = ("08", "53", "57P")
# The loss of the connection, and of these what one message's own values may exhaust.
_DOUBTFUL = (None, errorcodes.OUT_OF_MEMORY, errorcodes.CONFIGURATION_LIMIT_EXCEEDED)


def nobodys_fault(error: Exception, *, connected: bool) -> bool:
    """Whether no message is to blame: the batch lost a race, or the database is away.

    An error without a code is the loss of the connection, or, while that is still `connected`, a
    prepare function's wrong use of it: a failure, which would be given back for ever.
    """
    if not isinstance(error, DatabaseError | InterfaceError):
        return False
    code = getattr(error.__cause__, "pgcode", None)
    if code is None:
        return not connected
    return code in _NOBODYS_FAULT or code.startswith(_OUTAGE_CLASSES)


def _database_answers() -> bool:
    try:
        database.run("SELECT 1")
    except (DatabaseError, InterfaceError):
        return False
    return True


class Preparer:
    """Claims pending messages and runs their prepare functions on them, batch by batch.

    Once it is `stopping`, no further transaction is begun: what is left is given back.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        stopping: Callable[[], bool] = lambda: False,
        growing: bool = False,
    ) -> None:
        """When it is `growing`, the first batches are smaller: see `PendingClaims`."""
        self._claims = PendingClaims(batch_size, growing=growing)
        self._stopping = stopping
        self._refunds = Refunds()
        self._looks = Allowance()
        self._sweep_at = self._looked_at = float("-inf")
        self._suspects = False

    def settle(self) -> None:
        """Give back what could not be given back yet. Raises OperationalError."""
        self._refunds.settle()

    def step(self) -> bool:
        """Prepare one batch, and some suspects one by one. True if there is probably more."""
        self.settle()
        # Most often something has just come in, or there is a backlog: it is found without
        # another question, and without a walk over what was done before.
        batch = []
        if monotonic() < self._sweep_at or not self._looks.granted():
            batch = self._claims.take()
            self._work(batch)
        if self._looks.granted():
            self._suspects = self._sweep(found=bool(batch))
        self._work_suspects()
        return self._claims.more or self._suspects

    def advance(self) -> bool:
        """The same where fresh messages are expected: after a notification, or a while of quiet.

        The claim of those is most often the only question that is asked.
        """
        if self._suspects or monotonic() - self._looked_at >= LOOK_SECONDS:
            return self.step()
        return self.prepare_fresh()

    def prepare_fresh(self) -> bool:
        """Prepare one batch, and no suspect. True if there is probably more."""
        self.settle()
        self._work(self._claims.take())
        return self._claims.more

    def _work_suspects(self) -> None:
        """Each in a batch of its own: what kills its process must not bury its neighbours.

        A process that died has left one or two batches of them, which must not wait behind as many
        batches of a backlog; neither kind may starve the other.
        """
        end = monotonic() + SUSPECTS_SECONDS
        known = registry.prepared_event_types()
        while self._suspects and not self._stopping():
            alone = store.claim_pending_suspect(known)
            self._work(alone)
            self._suspects = bool(alone)
            if monotonic() >= end:
                return

    def _sweep(self, *, found: bool) -> bool:
        """Whether a suspect is due. Unless a batch was `found` already, prepare the oldest one."""
        self._looked_at = monotonic()
        with self._looks.spent():
            fresh, suspect = backlog.any_due_pending()
        if not found:
            self._sweep_at = monotonic() + SWEEP_SECONDS
            if fresh or self._claims.more:
                self._work(self._claims.take(from_start=True))
        return suspect

    def _work(self, claimed: list[Message]) -> None:
        groups: dict[PrepareFunction, list[Message]] = {}
        for message in claimed:
            prepare = registry.get(message.event_type).prepare_function
            if prepare is not None:
                groups.setdefault(prepare, []).append(message)
        for prepare, messages in groups.items():
            self._prepare(prepare, messages)
        # Not before every part has had its turn: in an outage this raises, and what had none
        # would be leased and counted until its lease runs out.
        self.settle()

    def _prepare(self, prepare: PrepareFunction, messages: list[Message]) -> None:
        """Prepare a group in one transaction, or its halves, each in one of its own.

        Savepoints in one transaction would not do: the locks of the first half would be held
        while the second takes its own from the start of the order, and two processes deadlock.
        """
        if self._stopping():
            self._refunds.owe(messages)
            return
        if self._gave_up(messages):
            return
        alias = outbox_settings().database
        raw: Any = None
        try:
            with transaction.atomic(using=alias, durable=True):
                raw = connections[alias].connection  # Django replaces a lost one at the end
                self._prepare_locked(prepare, messages)
        except Exception as error:  # noqa: BLE001 - whatever a prepare function raises
            if nobodys_fault(error, connected=raw is not None and not raw.closed):
                self._postpone(messages, error, began=raw is not None)
            elif len(messages) > 1:
                middle = len(messages) // 2
                self._prepare(prepare, messages[:middle])
                self._prepare(prepare, messages[middle:])
            else:
                self._fail(messages[0], error)

    def _postpone(self, messages: list[Message], error: Exception, *, began: bool) -> None:
        """Give a batch back that is not to blame, as far as one can know.

        What loses the connection, or the server's memory, may be one of the messages: they are
        taken alone from now on. One that did it again, alone, has failed.
        """
        doubtful = began and getattr(error.__cause__, "pgcode", None) in _DOUBTFUL
        first = messages[0]
        if doubtful and len(messages) == 1 and first.suspect:
            # The claim has counted this try. While the server recovers, as it does when a backend
            # crashed, nothing can be written: then the lease runs out, and the count stands.
            if _database_answers():
                self._fail(first, error)
            return
        logger.warning("outbox.prepare.postponed %s and %d: %s", first.id, len(messages) - 1, error)
        given_back = [replace(each, suspect=each.suspect or doubtful) for each in messages]
        self._refunds.owe(given_back, delay=WAIT_SECONDS)

    def _prepare_locked(self, prepare: PrepareFunction, messages: list[Message]) -> None:
        held = store.hold(messages, patience=LOCK_TIMEOUT)
        mine = [message for message in messages if message.id in held]
        if not mine:
            return
        waiting = {message.id for message in prepare(mine) or ()}
        store.mark_ready([message for message in mine if message.id not in waiting])
        store.release([m for m in mine if m.id in waiting], delay=WAIT_SECONDS)

    def _gave_up(self, messages: list[Message]) -> bool:
        """A suspect whose tries are used up, each without a word, is not tried again."""
        message = messages[0]
        limit = registry.max_attempts(message.event_type)
        if not message.suspect or message.attempts <= limit:
            return False
        self._write_failure(message, NO_WORD, limit)
        return True

    def _fail(self, message: Message, error: Exception) -> None:
        limit = 0 if isinstance(error, Permanent) else registry.max_attempts(message.event_type)
        self._write_failure(message, "".join(traceback.format_exception(error)), limit)

    def _write_failure(self, message: Message, reason: str, limit: int) -> None:
        delay = registry.delay_seconds(message)
        try:
            state = store.fail(message, reason, delay=delay, max_attempts=limit)
        except LeaseLost:
            return  # the process that has it now will say what becomes of it
        except (OperationalError, InterfaceError):
            self._refunds.owe([message])  # it will fail again once the database is back
            return
        last_line = reason.rstrip().rpartition("\n")[2]
        logger.warning("outbox.prepare.failed %s is %s: %s", message.id, state, last_line)
