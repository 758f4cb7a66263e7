"""A group of deliveries is written by one statement; where one of them spoils it, by several.

What the data of one has to do with it is halved, until the bad one stands alone and fails alone. So
is a group that has waited too long for a lock. A server that is gone is gone for all of them.
"""

from __future__ import annotations

import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2 import errorcodes

from app.arrival import find_known, store_new
from outbox import notifier, store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from app.arrival import Arrival
    from app.ledger import Acceptance, Known
    from outbox.side_connection import SideConnection

ANSWER_SECONDS: Final = 10.0
"""How long the server may say nothing: its own limits end a statement after 5 seconds, unless the
URL's options say otherwise."""
TRIES: Final = 3
"""Of a group that met a deadlock, which is nobody's fault."""
# A part of a group has waited before, with the whole of it. Short: each delivery that is held up
# costs it once for each halving, and the others, who wait with it, are to be stored in time.
_HURRIED: Final = "SET LOCAL lock_timeout TO '20ms'; SET LOCAL statement_timeout TO '1s'; "

_AGAIN: Final = {errorcodes.DEADLOCK_DETECTED, errorcodes.SERIALIZATION_FAILURE}
_TIMED_OUT: Final = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.QUERY_CANCELED}
# The connection; a server that has become a standby; no room; our tables or rights are not as they
# should be; an operator, or a time-out; the server's own faults.
_OF_ALL: Final = {
    errorcodes.CLASS_CONNECTION_EXCEPTION,
    errorcodes.CLASS_INVALID_TRANSACTION_STATE,
    errorcodes.CLASS_INSUFFICIENT_RESOURCES,
    errorcodes.CLASS_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION,
    errorcodes.CLASS_OPERATOR_INTERVENTION,
    errorcodes.CLASS_SYSTEM_ERROR,
}


class Waiting:
    """A request that waits until its delivery is stored."""

    __slots__ = ("_answered", "_error", "_found", "arrival", "until")

    def __init__(self, arrival: Arrival, until: float) -> None:
        self.arrival = arrival
        self.until = until
        """When nobody waits any more, by the clock that counts on."""
        self._found: Acceptance | Known | None = None
        self._error: Exception | None = None
        self._answered = threading.Lock()  # held until then: the cheapest thing to wait for
        self._answered.acquire()

    def wait(self, seconds: float) -> Acceptance | Known | None:
        """Return what it was answered. Raises psycopg2's errors."""
        if not self._answered.acquire(timeout=seconds):
            raise psycopg2.OperationalError(f"it was not stored within {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._found

    def answer(self, found: Acceptance | Known | None) -> None:
        """Tell the request what has become of its delivery."""
        self._found = found
        self._answered.release()

    def fail(self, error: Exception) -> None:
        """Tell the request why nothing has, if it does not know better."""
        if self._answered.locked():
            self._error = error
            self._answered.release()


class Group:
    """Writes groups on a session of its own, in autocommit: a frozen process leaves none open."""

    def __init__(self, connection: SideConnection) -> None:
        self._connection = connection
        self._given_up = threading.Event()

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def cancel(self) -> None:
        """Give up what is being written, for good: nobody waits for it any more."""
        self._given_up.set()
        self._connection.cancel()

    def write(self, group: Sequence[Waiting]) -> None:
        """Store those that are new, find what the others are known as, and tell each of them."""
        if self._given_up.is_set():
            fail_all(group, psycopg2.OperationalError("the process ends"))
            return
        self._connection.close_if_lost()
        parts = [list(group)]
        hurried = False
        while parts:
            part = [each for each in parts.pop() if each.until > monotonic()]
            if not part:
                continue
            try:
                self._store(part, hurried=hurried)
            except (psycopg2.Error, ValueError) as error:  # ValueError: no literal can be made
                if self._given_up.is_set() or _is_of_all(error):
                    self._connection.close()  # to look for the primary, where it was one
                    fail_all(group, error)
                    return
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]] if middle else []
                hurried = hurried or _has_waited(error)
                if not middle:
                    part[0].fail(error)

    def _store(self, part: list[Waiting], *, hurried: bool) -> None:
        arrivals = [each.arrival for each in part]
        new = self._tried(arrivals, _HURRIED if hurried else "")
        for state in {each.draft.state for each in arrivals if each.draft.id in new}:
            notifier.wake(store.CHANNELS[state])
        others = []
        for each in part:
            if each.arrival.draft.id in new:
                each.answer(each.arrival.acceptance)
            else:
                others.append(each)
        if others:
            self._find(others)

    def _tried(self, arrivals: list[Arrival], prefix: str) -> set[Any]:
        run = partial(self._run, prefix)
        for left in range(TRIES - 1, -1, -1):
            try:
                return store_new(arrivals, run)
            except psycopg2.Error as error:
                if error.pgcode not in _AGAIN or not left:
                    raise
        raise AssertionError("unreachable")

    def _find(self, others: list[Waiting]) -> None:
        """Tell those that were not new what they are known as. The new ones are told already."""
        ids = {each.arrival.delivery.id for each in others}
        try:
            known = find_known(ids, partial(self._run, ""))
        except psycopg2.Error as error:
            fail_all(others, error)
            if _is_of_all(error):
                raise
            return
        for each in others:
            each.answer(known.get(each.arrival.delivery.id))

    def _run(
        self, prefix: str, statement: str, parameters: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        return self._connection.run(prefix + statement, parameters, seconds=ANSWER_SECONDS)


def _is_of_all(error: Exception) -> bool:
    """Whether no part of the group would do better."""
    code: str | None = getattr(error, "pgcode", None)
    if code is None:  # it does not come from the server
        return not isinstance(error, psycopg2.DataError | psycopg2.ProgrammingError | ValueError)
    return code[:2] in _OF_ALL and not _has_waited(error)


def _has_waited(error: Exception) -> bool:
    return getattr(error, "pgcode", None) in _TIMED_OUT


def fail_all(group: Sequence[Waiting], error: Exception) -> None:
    """Tell those that have not been told anything yet; each gets an error of its own."""
    for each in group:
        each.fail(type(error)(str(error).strip()))
