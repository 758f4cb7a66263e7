"""Sending without confirms, through whatever transport kombu has for the broker."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from relay.envelope import send
from relay.errors import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery
    from kombu import Connection, Producer

    from outbox import Message
    from relay.outcome import Outcome


class PlainSender:
    """Hands each message over to kombu's producer and takes the absence of an error for success.

    No wait is longer than the transport's own time-outs; Redis gets a third of the deadline,
    for a kept connection may have to be given up before two tries to connect.
    """

    def __init__(self, app: Celery, deadline: float) -> None:
        self._app = app
        self._patience = deadline / 3
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def start(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> int:
        """Send: there is nothing to wait for later. Raises Outage."""
        self.send(messages, outcome, deadline)
        return 0

    def finish(self, mark: int, deadline: float) -> None:
        pass

    def send(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> None:
        """Raises Outage."""
        producer, faults = self._open()
        for message in messages:
            if monotonic() >= deadline:
                raise Outage("the broker was too slow for so many messages")
            outcome.written.add(message.id)
            try:
                send(self._app, producer, message)
            except Exception as exc:
                # kombu 5.5's filesystem transport stumbles over its own handling of an OSError.
                if isinstance(exc, faults) or isinstance(exc.__context__, faults):
                    raise Outage(str(exc) or type(exc).__name__) from exc
                outcome.refused[message.id] = f"cannot be handed to the broker: {exc!r}"
            else:
                outcome.confirmed.add(message.id)

    def _open(self) -> tuple[Producer, tuple[type[BaseException], ...]]:
        connection = self._connection or self._connect()
        self._connection = connection
        faults = connection.connection_errors + connection.channel_errors
        faults += (OSError, OperationalError)
        try:
            if self._producer is None:
                # kombu tries at least twice, by default with seconds in between.
                connection.ensure_connection(
                    max_retries=1, interval_start=0, interval_step=0, interval_max=0
                )
                self._producer = self._app.amqp.Producer(connection.channel(), auto_declare=False)
        except faults as exc:
            raise Outage(f"cannot connect to {connection.as_uri()}: {exc}") from exc
        return self._producer, faults

    def _connect(self) -> Connection:
        connection = self._app.connection_for_write(connect_timeout=self._patience)
        if getattr(connection.transport, "driver_type", "") != "redis":
            return connection
        limits = {
            "socket_timeout": self._patience,
            "socket_connect_timeout": self._patience,
            "socket_keepalive": True,
            "retry_on_timeout": False,
        }
        return self._app.connection_for_write(
            connect_timeout=self._patience, transport_options=limits
        )

    def abandon(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                connection.collect(socket_timeout=1)

    close = abandon
