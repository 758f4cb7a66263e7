"""The door of this process: its admission, and the thread that samples the backlog for it.

Without `start` the door is open: a test, another process, or a web server that does not watch.
"""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext, suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

import psycopg2
from django.conf import settings

from app import metrics
from app.admission import Admission, Limits, Sample
from outbox.side_connection import SideConnection
from outbox.waiting import Waiting

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from app.admission import Closed

logger = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 1.0
LONGEST_INTERVAL_SECONDS: Final = 3.0
INTERVAL_SHARE: Final = 20
"""A sample that takes long is taken less often: up to 150 ms it costs a twentieth of the time. The
longest interval bounds that, so that one that takes its whole second costs a quarter."""
CONNECT_SECONDS: Final = 2.0
STOP_SECONDS: Final = 0.2
"""Enough for a sample that is being answered; for one that is not, a stop does not wait."""


class Watch:
    """Samples the backlog on a connection of its own, beside the pool, until it is stopped."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._connection = SideConnection(CONNECT_SECONDS)
        self._waiting = Waiting(admission.limits.backlog)
        self._stopping = threading.Event()
        self._told: Closed | None = None
        self._thread = threading.Thread(target=self._run, name="admission", daemon=True)

    def start(self) -> None:
        """Take the first sample, soon."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more samples, and end the session."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._connection.close()

    def sample(self) -> None:
        """Take one sample, and tell what changes by it. It raises nothing that the sample does."""
        again = self._connection.is_open  # it may have died unseen, and a new one may do
        fault: Exception | None
        try:
            fault = self._ask()
            if fault and again and not self._connection.is_open:
                fault = self._ask()
        except Exception as error:  # noqa: BLE001 - logged below; without samples the door closes
            fault = error
        if fault and not self._connection.is_open:
            self.admission.lost()
        self._tell(fault)

    def _ask(self) -> psycopg2.Error | None:
        mark = self.admission.mark()
        try:
            found = self._waiting.sample(self._connection)
        except psycopg2.Error as error:
            return error
        self.admission.sampled(Sample(*found), mark)
        return None

    def _tell(self, fault: Exception | None) -> None:
        closed = self.admission.closed()
        metrics.tell_admission(closed, self.admission.last)
        if closed is not self._told:
            cause = f": {str(fault).strip()}" if fault else ""
            logger.warning("admission.%s%s", f"closed, {closed}" if closed else "open", cause)
            self._told = closed
        elif fault and not closed:
            logger.warning("admission.no_sample: %s", str(fault).strip())

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            began = monotonic()
            # Without this thread the door would be shut until a restart. Even telling may fail: the
            # metrics lie in files, for which there may be no room.
            try:
                self.sample()
            except Exception:
                with suppress(Exception):
                    logger.exception("admission.fault")
            share = (monotonic() - began) * INTERVAL_SHARE
            pause = min(max(INTERVAL_SECONDS, share), LONGEST_INTERVAL_SECONDS)


_watch: Watch | None = None


def start() -> None:
    """Watch over the door from now on, within WEBHOOK_MAX_BACKLOG and _SECONDS."""
    global _watch  # noqa: PLW0603 - one door for each process
    limits = Limits(settings.WEBHOOK_MAX_BACKLOG, settings.WEBHOOK_MAX_BACKLOG_SECONDS)
    _watch = Watch(Admission(limits))
    _watch.start()


def stop() -> None:
    """Watch no longer: the door is open."""
    global _watch
    watch, _watch = _watch, None
    if watch is not None:
        watch.stop()


def closed() -> Closed | None:
    """Return why no delivery is taken in now; None where it is."""
    return _watch.admission.closed() if _watch else None


def storing() -> AbstractContextManager[None]:
    """Count the delivery that is being stored inside."""
    return _watch.admission.storing() if _watch else nullcontext()


def stored() -> None:
    """Count the delivery that is stored now, and was not before."""
    if _watch:
        _watch.admission.stored()
