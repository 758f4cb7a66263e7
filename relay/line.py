"""A line to an AMQP broker: one connection, one channel with publisher confirms."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from itertools import takewhile
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import amqp
from amqp import spec

from relay import frames
from relay.errors import Outage
from relay.frames import UNENCODABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kombu import Exchange, Queue

    from relay.envelope import Envelope
    from relay.outcome import Outcome
    from relay.wire import Wire

# Messages written in one piece, and at most unconfirmed at a time. Between two pieces what the
# broker says is read, so that it never stops reading for want of a reader while we write.
PIECE = 64
WINDOW = 4096

# A lost connection may also show in py-amqp as a missing attribute or channel.
FAULTS = (OSError, amqp.AMQPError, AttributeError, KeyError)


class ChannelClosed(Exception):
    """The broker closed the channel because of a message that was sent on it."""

    def __init__(self, reason: str, *, declared_anew: bool) -> None:
        super().__init__(reason)
        self.declared_anew = declared_anew
        """All queues of the messages were declared right before, so none had vanished."""


class Line:
    """Publishes pipelined and matches the confirms by delivery tag.

    py-amqp's `basic_publish_confirm` is not used: it waits for each message by itself, and
    takes any ack for the one it waits for.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._channel = cast("Any", wire.channel(frames.CHANNEL))
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)
        self._declared: set[Queue | Exchange] = set()
        self._known: frozenset[Queue | Exchange] = frozenset()
        self._tag = 0
        self._confirm_mode()

    def _confirm_mode(self) -> None:
        self._channel.confirm_select()
        self._before = self._tag  # the broker counts from 1 in each mode, we go on
        self._unconfirmed: dict[int, tuple[Envelope, Outcome]] = {}  # by delivery tag, ascending
        self._returned: dict[str, str] = {}

    def send(self, envelopes: Sequence[Envelope], outcome: Outcome) -> None:
        """Publish all and wait until each is confirmed or refused. Raises as `write` does."""
        self.wait(self.write(envelopes, outcome))

    def write(self, envelopes: Sequence[Envelope], outcome: Outcome) -> int:
        """Publish all; the mark to `wait` for until each is confirmed or refused.

        Raises ChannelClosed; Blocked, OSError or an AMQP error when the line is dead.
        """
        self._declared = {each for each in self._declared if each.can_cache_declaration}
        self._known = frozenset(self._declared)
        ready = self._declare(envelopes, outcome)
        with self._channel_errors():
            for start in range(0, len(ready), PIECE):
                self._write(ready[start : start + PIECE], outcome)
                while self.wire.readable() or len(self._unconfirmed) > WINDOW - PIECE:
                    self.wire.drain_events()
        return self._tag

    def wait(self, mark: int) -> None:
        """Wait for the broker's word on all that was written before. Raises as `write` does."""
        with self._channel_errors():
            while next(iter(self._unconfirmed), mark + 1) <= mark:
                self.wire.drain_events()

    @contextmanager
    def _channel_errors(self) -> Iterator[None]:
        try:
            yield
        except amqp.ChannelError as exc:
            # An exchange may have been deleted since it was declared: declare all again.
            self._declared.clear()
            needed = {entity for each, _ in self._unconfirmed.values() for entity in each.declare}
            self._confirm_mode()  # py-amqp has opened the channel again
            raise ChannelClosed(str(exc), declared_anew=not needed & self._known) from exc

    def _declare(self, envelopes: Sequence[Envelope], outcome: Outcome) -> Sequence[Envelope]:
        """Declare what is not known to exist; a message whose queue cannot be is refused.

        Before anything is published, so that the channel it costs carries no other message.
        """
        failed: dict[Queue | Exchange, str] = {}
        needed = {id(each.declare): each.declare for each in envelopes}
        for entity in dict.fromkeys(entity for each in needed.values() for entity in each):
            if entity in self._declared:
                continue
            try:
                entity.bind(self._channel).declare(channel=self._channel)
            except amqp.ChannelError as exc:
                failed[entity] = str(exc)
                self._confirm_mode()
            except UNENCODABLE as exc:
                failed[entity] = f"cannot be declared: {exc!r}"
            else:
                self._declared.add(entity)
        if not failed:
            return envelopes
        ready = []
        for envelope in envelopes:
            reason = next((failed[each] for each in envelope.declare if each in failed), None)
            if reason is None:
                ready.append(envelope)
            else:
                outcome.refused[envelope.id] = reason
        return ready

    def _write(self, envelopes: Sequence[Envelope], outcome: Outcome) -> None:
        with self.wire.held() as data:
            for envelope in envelopes:
                before = len(data)
                try:
                    if envelope.frames is None:
                        self._channel.send_method(
                            spec.Basic.Publish,
                            frames.PUBLISH,
                            frames.publish_arguments(envelope),
                            envelope.content,
                        )
                    else:
                        data.extend(envelope.frames)
                except UNENCODABLE as exc:
                    del data[before:]
                    outcome.refused[envelope.id] = f"cannot be encoded for AMQP: {exc!r}"
                else:
                    self._tag += 1
                    outcome.written.add(envelope.id)
                    self._unconfirmed[self._tag] = envelope, outcome

    def _resolved(self, tag: int, multiple: bool) -> Iterable[tuple[Envelope, Outcome]]:
        tag += self._before
        if not multiple:
            found = self._unconfirmed.pop(tag, None)
            return () if found is None else (found,)
        tags = list(takewhile(tag.__ge__, self._unconfirmed))
        return [self._unconfirmed.pop(each) for each in tags]

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for envelope, outcome in self._resolved(tag, multiple):
            reason = self._returned.pop(envelope.key, None) if self._returned else None
            if reason is None:
                outcome.confirmed.add(envelope.id)
            else:
                outcome.refused[envelope.id] = reason
                # The queue may have been deleted: the next try declares it again.
                self._declared.difference_update(envelope.declare)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for envelope, outcome in self._resolved(tag, multiple):
            self._returned.pop(envelope.key, None)
            outcome.refused[envelope.id] = "the broker did not take it (basic.nack)"

    def _on_return(self, exc: Exception, exchange: str, routing_key: str, message: Any) -> None:
        """The return of an unroutable message comes before its ack."""
        key = str(message.properties.get("correlation_id"))
        self._returned[key] = f"unroutable ({exchange!r}, {routing_key!r}): {exc}"

    def close(self, patience: float) -> None:
        """Say goodbye, for at most `patience` seconds."""
        self.wire.deadline = monotonic() + patience
        with suppress(Outage, *FAULTS):
            self.wire.close()
        self.wire.abandon()
