"""The backend itself: Django's PostgreSQL with connections from a `PermitPool`."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django_db_geventpool.backends.base import connection_pools_lock
from django_db_geventpool.backends.postgresql_psycopg2 import base
from psycopg2 import extensions

from settings.geventpool.pool import PermitPool

_POOL_TIMEOUT_SECONDS = 3.0


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc] # untyped
    """django-db-geventpool's wrapper, which borrows for a request and gives back after it."""

    _connection_pools: ClassVar[dict[tuple[Any, ...], PermitPool]] = {}
    connection: extensions.connection | None
    _lender: PermitPool

    @property
    def pool(self) -> PermitPool:
        """The pool of this process for this alias and database, made when first asked for."""
        return self._pool_for(self.get_connection_params())

    def get_connection_params(self) -> dict[str, Any]:
        """Return what the pool is made with: libpq's parameters and its own."""
        parameters: dict[str, Any] = super().get_connection_params()
        parameters["timeout"] = parameters.pop("POOL_TIMEOUT", _POOL_TIMEOUT_SECONDS)
        # Django takes the level out, to set it on a connection that it opens itself.
        if "isolation_level" in self.settings_dict["OPTIONS"]:
            level = self.settings_dict["OPTIONS"]["isolation_level"]
            parameters["isolation_level"] = IsolationLevel(level)
        return parameters

    def get_new_connection(self, conn_params: dict[str, Any]) -> extensions.connection:
        """Borrow a connection. Raises `PoolExhausted` when none comes back in time."""
        self.isolation_level = conn_params.get("isolation_level", IsolationLevel.READ_COMMITTED)
        self._lender = self._pool_for(conn_params)
        connection = self._lender.get()
        self.closed_in_transaction = False
        return connection

    def init_connection_state(self) -> None:
        """Set the time zone too, which Django leaves to the pool wherever there is one."""
        super().init_connection_state()
        if self._configure_connection(self.connection) and not self.get_autocommit():
            self._commit()

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the connection back after a request, but not out of a transaction."""
        if not self.in_atomic_block:
            self.close()

    def close_pool(self) -> None:
        """Close the idle connections; those in use stay with their borrowers."""
        self.pool.close()

    def _pool_for(self, parameters: dict[str, Any]) -> PermitPool:
        # By process, since a fork must not speak on its parent's sockets; by database, since an
        # alias may move to another one, as it does while a test database is made.
        place = (parameters.get(name) for name in ("host", "port", "dbname", "user"))
        key = (os.getpid(), self.alias, *place)
        with connection_pools_lock:
            if key not in self._connection_pools:
                self._connection_pools[key] = PermitPool(self.alias, **parameters)
            return self._connection_pools[key]

    def _close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with self.wrap_database_errors:
                self._lender.put(connection)
