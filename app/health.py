"""`/livez` and `/readyz`, for whatever decides where requests go."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

from app.database import alias, run
from app.problem import method_not_allowed

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""How long an answer of `/readyz` stands: probes from many sides cost one look in this time."""


class Readiness:
    """Whether this process could accept a delivery: its database answers and has every migration.

    Nothing else is looked at: the broker, for one, is not needed to accept a delivery.
    """

    def __init__(self) -> None:
        self._migrated = False
        self._looked_at = float("-inf")
        self._checks: dict[str, str] = {}

    def checks(self) -> dict[str, str]:
        """Return each check with "ok" or the word for what is wrong, at most seconds old."""
        if time.monotonic() - self._looked_at >= FRESH_SECONDS:
            self._checks = self._look()
            self._looked_at = time.monotonic()
        return self._checks

    def _look(self) -> dict[str, str]:
        try:
            run("SELECT 1")
            # Migrations are not undone under a running process: once is enough.
            self._migrated = self._migrated or not _unapplied()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("health.database_unreachable: %s", error)
            return {"database": "unreachable", "migrations": "unknown"}
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
    return JsonResponse({"status": "ok"})


@csrf_exempt
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if deliveries can be accepted here, else 503; the checks say which part is missing."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET", "HEAD")
    checks = readiness.checks()
    ready = all(outcome == "ok" for outcome in checks.values())
    return JsonResponse(
        {"status": "ready" if ready else "unavailable", "checks": checks},
        status=200 if ready else 503,
    )
