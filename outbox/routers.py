"""Which reads may go to the replica, and who sends them there.

A replica lags. Only a web request that shows data may read it, and only models that the settings
list: a login read from a lagging replica loops, and a task that reads it works on old data. So the
primary is the rule and the replica the exception, which a context variable switches on for the
time of a request. A process without requests is pinned without doing anything, threads and
greenlets that its tasks start included, which a context variable would not reach.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from outbox.conf import OutboxSettings, outbox_settings

_in_request: ContextVar[bool] = ContextVar("outbox_in_request", default=False)
_pinned: ContextVar[bool] = ContextVar("outbox_pinned", default=False)


@contextlib.contextmanager
def primary() -> Iterator[None]:
    """Read everything in this block, or in the function it decorates, from the primary.

    What counts is where a queryset is evaluated, not where it was made. An object that came from
    the replica keeps its values; `refresh_from_db()` in the block reads the primary's.
    """
    token = _pinned.set(True)
    try:
        yield
    finally:
        _pinned.reset(token)


@contextlib.contextmanager
def replica_reads() -> Iterator[None]:
    """Allow reads of the replica in this block, as in a web request. `primary()` is stronger."""
    token = _in_request.set(True)
    try:
        yield
    finally:
        _in_request.reset(token)


def replica_allowed(database: str) -> bool:
    """Whether this context may read the replica. `database` is the alias of the primary.

    Not in a transaction on the primary: its own writes have not reached the replica.
    """
    return _in_request.get() and not _pinned.get() and not connections[database].in_atomic_block


class ReplicaReadsMiddleware:
    """Lets a web request read the replica, except the admin, where people look at what they wrote.

    For synchronous views under WSGI. A streaming response is iterated after this middleware has
    ended: what it reads then comes from the primary.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with replica_reads():
            return self._get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        match = request.resolver_match
        if match is not None and "admin" in {*match.app_names, *match.namespaces}:
            _in_request.set(False)  # until the end of `replica_reads`, which puts back what was


class ReplicaRouter:
    """Sends reads of the listed models to the replica where `replica_allowed` says so.

    It answers for the listed models, for their automatic many-to-many tables, and for whatever is
    reached from an object that came from the replica; about the rest it has no opinion. It must
    name the primary, not keep silent: Django would then take the database the object came from.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        outbox = outbox_settings()
        if outbox.replica is None:
            return None
        if _is_listed(model, outbox):
            return outbox.replica if replica_allowed(outbox.database) else outbox.database
        return _unless_from_replica(outbox, hints)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        outbox = outbox_settings()
        if outbox.replica is None:
            return None
        return outbox.database if _is_listed(model, outbox) else _unless_from_replica(outbox, hints)

    def allow_relation(self, left: Model, right: Model, **_hints: Any) -> bool | None:
        outbox = outbox_settings()
        same_data = {outbox.database, outbox.replica}
        return True if {left._state.db, right._state.db} <= same_data else None

    def allow_migrate(self, db: str, _app_label: str, **_hints: Any) -> bool | None:
        return False if db == outbox_settings().replica else None


def _unless_from_replica(outbox: OutboxSettings, hints: dict[str, Any]) -> str | None:
    instance = hints.get("instance")
    from_replica = instance is not None and instance._state.db == outbox.replica
    return outbox.database if from_replica else None


def _is_listed(model: type[Model], outbox: OutboxSettings) -> bool:
    # The table of a ManyToManyField without `through` belongs to the model that has the field.
    owner: type[Model] = getattr(model._meta, "auto_created", None) or model
    return owner._meta.label_lower in _labels(outbox.replica_models)


@functools.cache
def _labels(given: tuple[str, ...]) -> frozenset[str]:
    return frozenset(label.lower() for label in given)
