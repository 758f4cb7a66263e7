"""While there is a backlog, a post-processor prepares two batches at a time.

One transaction keeps one of PostgreSQL's processes busy, and while Python makes the next statement
not even that. Of two there is always one that PostgreSQL works on. They meet as two post-processors
would: each has claims, sessions and refunds of its own.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from django.db import DatabaseError, OperationalError, connections

from outbox.conf import outbox_settings

if TYPE_CHECKING:
    from outbox.prepare import Preparer


class SideBySide:
    """A preparer for the caller's thread, and another one for a thread of its own."""

    def __init__(self, first: Preparer, second: Preparer) -> None:
        self._first = first
        self._second = second
        self._thread: ThreadPoolExecutor | None = None
        self._more = False

    def advance(self) -> bool:
        """Prepare a batch; two, if the last one was full. True if there is probably more.

        Raises what either raises, when both have ended.
        """
        self._second.settle()
        beside = self._begin_beside() if self._more else None
        try:
            more = self._first.advance()
        finally:
            if beside is not None:
                beside.exception()  # waits for its end
        if beside is not None:
            more |= beside.result()
        self._more = more
        if not more:
            self._dismiss()
        return more

    def close(self) -> None:
        """Give back what could not be given back yet. Raises OperationalError."""
        self._dismiss()
        self._second.settle()
        self._first.settle()

    def _begin_beside(self) -> Future[bool]:
        self._thread = self._thread or ThreadPoolExecutor(1, "outbox-beside")
        return self._thread.submit(self._advance_beside)

    def _advance_beside(self) -> bool:
        alias = outbox_settings().database
        try:
            return self._second.prepare_fresh()
        except DatabaseError as error:
            raw = connections[alias].connection
            connections.close_all()  # nobody else looks whether this thread's are lost
            if raw is not None and raw.closed and not isinstance(error, OperationalError):
                # libpq names some broken connections only DatabaseError.
                raise OperationalError(str(error)) from error
            raise

    def _dismiss(self) -> None:
        """There is no backlog any more: end the thread and its session."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(connections.close_all)
            thread.shutdown()
