"""`/livez` and `/readyz`, for whatever decides where requests go."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor
from django.views.decorators.csrf import csrf_exempt

from app import door
from app.admission import Closed
from app.answers import Alive, Checks, Ready, as_json
from app.database import alias, run
from app.problem import method_not_allowed

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""How long an answer of `/readyz` stands: probes from many sides cost one look in this time."""
LOOK_SECONDS: Final = 10.0
"""How long one waits for another's look, which ends by the deadlines of pool and statements."""
UNREACHABLE: Final = {"database": "unreachable", "migrations": "unknown"}


class Readiness:
    """Whether this process could store a delivery: its database answers and has every migration.

    Nothing else is looked at: the broker, for one, is not needed to accept a delivery.
    """

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._migrated = False
        self._looked_at = float("-inf")
        self._checks: dict[str, str] = {}

    def checks(self) -> dict[str, str]:
        """Return each check with "ok" or the word for what is wrong, at most seconds old."""
        if self._is_fresh():
            return self._checks
        # One looks, and those that come meanwhile take what it finds: each look takes a connection
        # of the pool, which deliveries need too.
        if not self._looking.acquire(timeout=LOOK_SECONDS):
            return UNREACHABLE
        try:
            if not self._is_fresh():
                self._checks = self._look()
                self._looked_at = time.monotonic()
            return self._checks
        finally:
            self._looking.release()

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked_at < FRESH_SECONDS

    def _look(self) -> dict[str, str]:
        try:
            run("SELECT 1")
            # Migrations are not undone under a running process: once is enough.
            self._migrated = self._migrated or not _unapplied()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("health.database_unreachable: %s", error)
            return UNREACHABLE
        return {"database": "ok", "migrations": "ok" if self._migrated else "unapplied"}


def _unapplied() -> bool:
    executor = MigrationExecutor(connections[alias()])
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


readiness = Readiness()


@csrf_exempt  # it changes nothing; a wrong method is to be told so
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers. It touches nothing: restarting us would not mend a database."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET", "HEAD")
    return as_json(Alive("ok"))


@csrf_exempt
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if deliveries are accepted here, else 503; the checks say which part is missing.

    Who balances senders over several servers takes away the one that has 503 here. Whoever reads
    may be sent to any that answers `/livez`.
    """
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET", "HEAD")
    closed = door.closed()
    # A database that does not answer would not answer here either.
    checks = UNREACHABLE if closed is Closed.DATABASE else readiness.checks()
    checks = {**checks, "admission": closed.value if closed else "ok"}
    ready = all(outcome == "ok" for outcome in checks.values())
    told = Ready("ready" if ready else "unavailable", Checks(**checks))
    return as_json(told, status=200 if ready else 503)
