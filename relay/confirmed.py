"""Sending with publisher confirms, over AMQP."""

from __future__ import annotations

from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import amqp
from kombu.transport import pyamqp

from relay.envelope import Envelopes
from relay.errors import Outage
from relay.frames import Copier
from relay.line import FAULTS, ChannelClosed, Line
from relay.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery

    from outbox import Message
    from relay.envelope import Envelope
    from relay.outcome import Outcome

# Why a broker closes a connection (AMQP 0-9-1, reply codes) when what it was sent is to blame:
# frame error, syntax error, command invalid, channel error, unexpected frame, not allowed, not
# implemented. All other codes speak of the broker's own state.
OUR_FAULT = frozenset({501, 502, 503, 504, 505, 530, 540})

GOODBYE_SECONDS = 1.0
READING_SECONDS = 0.2


class ConfirmedSender:
    """Keeps one line open, with no heartbeat: it would need a thread or a clock."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._envelopes = Envelopes(app)
        self._broker = app.connection_for_write(
            transport_options={"confirm_publish": False, "heartbeat": 0},
        )
        self._line: Line | None = None

    @property
    def connected(self) -> bool:
        return self._line is not None

    def start(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> int:
        """Write on the line that is open, or send on a new one: what `finish` is to wait for.

        Raises Outage. What goes wrong with a message shows as one that is left unsettled.
        """
        line = self._line
        if line is None:
            self.send(messages, outcome, deadline)
            return 0
        return self._try(line, deadline, lambda: line.write(self._seal(messages, outcome), outcome))

    def finish(self, mark: int, deadline: float) -> None:
        """Wait for the broker's word on what was written up to a mark. Raises Outage."""
        line = self._line
        if line is not None:
            self._try(line, deadline, lambda: line.wait(mark))

    def _try(self, line: Line, deadline: float, act: Callable[[], int | None]) -> int:
        """Leave it to `send` to find out whose fault it is that the broker hangs up."""
        try:
            # Where the database was slow it is over before the broker was at fault: what has come
            # by then is still read.
            line.wire.deadline = max(deadline, monotonic() + READING_SECONDS)
            return act() or 0
        except ChannelClosed:
            return 0
        except FAULTS as exc:
            if not _our_fault(exc):
                raise Outage(_reason(exc, deadline)) from exc
            self.abandon()
            return 0

    def send(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> None:
        """Send and wait for the broker's word on each. Raises Outage."""
        envelopes = self._seal(messages, outcome)
        # The first message on a new line goes alone: a broker that blocks publishers says so
        # only when one is sent, and what it has not read by then may be stored after all, one
        # more copy in each try.
        parts = deque([envelopes] if self.connected else [envelopes[:1], envelopes[1:]])
        while parts:
            part = [each for each in parts.popleft() if not outcome.settled(each.id)]
            if part:
                parts.extendleft(reversed(self._send_part(part, outcome, deadline)))

    def _seal(self, messages: Sequence[Message], outcome: Outcome) -> list[Envelope]:
        envelopes = []
        copier = Copier(self._app, self._envelopes.seal)
        for message in messages:
            try:
                envelopes.append(copier.seal(message))
            except Exception as exc:  # noqa: BLE001 - no broker is involved: it is the message
                outcome.refused[message.id] = f"cannot be made a Celery message: {exc!r}"
        return envelopes

    def _send_part(
        self, part: list[Envelope], outcome: Outcome, deadline: float
    ) -> list[list[Envelope]]:
        """Send; what to send again, in halves, if one of them made the broker hang up.

        The broker does not say which one it was, and what became of the others is unknown:
        the culprit must stand alone to be refused.
        """
        try:
            line = self._line = self._line or self._connect(deadline)
            line.wire.deadline = deadline
            line.send(part, outcome)
        except ChannelClosed as exc:
            reason, alone = str(exc), len(part) == 1 and exc.declared_anew
        except FAULTS as exc:
            if not _our_fault(exc):
                raise Outage(_reason(exc, deadline)) from exc
            self.abandon()
            reason, alone = str(exc), len(part) == 1
        else:
            return []
        if alone:
            outcome.refused[part[0].id] = reason
            return []
        middle = (len(part) + 1) // 2
        return [part[:middle], part[middle:]]

    def _connect(self, deadline: float) -> Line:
        brokers = max(1, len(self._broker.alt))
        for left in range(brokers, 0, -1):
            share = (deadline - monotonic()) / left
            transport: Any = self._broker.create_transport()
            if not isinstance(transport, pyamqp.Transport):  # librabbitmq, where it is installed
                transport = pyamqp.Transport(client=self._broker)
            transport.Connection = partial(Wire, deadline=monotonic() + share)
            try:
                return _line(transport.establish_connection())
            except FAULTS as exc:
                where, reason = self._broker.as_uri(), _reason(exc, deadline)
                self._broker.maybe_switch_next()
        raise Outage(f"cannot connect to {where}: {reason}")

    def abandon(self) -> None:
        """Drop the connection; a polite close would wait for a frozen broker."""
        line, self._line = self._line, None
        if line is not None:
            line.wire.abandon()

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close(GOODBYE_SECONDS)


def _line(wire: Wire) -> Line:
    try:
        return Line(wire)
    except BaseException:
        wire.abandon()
        raise


def _our_fault(exc: BaseException) -> bool:
    # An error found by py-amqp itself bears such a code as well, but no method.
    return isinstance(exc, amqp.AMQPError) and exc.code in OUR_FAULT and bool(exc.method_sig)


def _reason(exc: BaseException, deadline: float) -> str:
    if isinstance(exc, TimeoutError) or monotonic() >= deadline:
        return "the broker did not answer in time"
    return str(exc) or type(exc).__name__
