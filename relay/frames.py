"""Frames of AMQP cut out of those of another message of the same kind.

The messages of one task and queue differ in their ids alone. What Celery, kombu and py-amqp make
of one of them, at some 60 µs, is therefore kept as bytes, and the next ones are those bytes with
other ids in them. Celery's own way stays the truth: of each kind in a batch the first two go that
way, and only if they differ in nothing but their ids are the others copied. `TEMPLATES = False`
turns it off, and so does a version of a library that nobody has tried.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import amqp
import celery
import kombu
from amqp import spec
from amqp.method_framing import frame_writer
from amqp.serialization import dumps
from celery import signals
from celery.app.routes import MapRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from outbox import Message
    from relay.envelope import Envelope

    Kind = tuple[str, str, str, int]

TEMPLATES = True
"""Whether frames are copied at all."""
TRIED = {"celery": ((5, 5), (5, 7)), "kombu": ((5, 5), (5, 7)), "amqp": ((5, 3), (5, 4))}
"""The first and the last version of each library that this is known to work with."""

PUBLISH = "Bssbb"
"""The arguments of Basic.Publish: reserved, exchange, routing key, mandatory, immediate."""
CHANNEL = 1
"""The channel that the frames are for."""
LARGEST = 4096
"""Every broker takes frames of this size."""
EXAMPLES = 2
"""Of a kind, before the next ones are copied."""
# What py-amqp raises for a name or an argument that AMQP has no way to say.
UNENCODABLE = (struct.error, TypeError, ValueError, amqp.FrameSyntaxError)
_RECEIVERS = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)


def copying(app: Celery) -> bool:
    """Whether messages may be copied now.

    Not if somebody wants to see each of them, or chooses a way for each: a receiver of Celery's
    signals, or a router of the project's own.
    """
    return (
        TEMPLATES
        and _tried()
        and not any(signal.receivers for signal in _RECEIVERS)
        and all(isinstance(route, MapRoute) for route in cast("Any", app.amqp.router).routes)
    )


def _tried() -> bool:
    libraries: tuple[Any, ...] = (celery, kombu, amqp)
    there = {each.__name__: tuple(each.VERSION[:2]) for each in libraries}
    return all(first <= there[name] <= last for name, (first, last) in TRIED.items())


class Copier:
    """Seals the messages of one batch; what it has learned of their kinds ends with the batch."""

    def __init__(self, app: Celery, seal: Callable[[Message], Envelope]) -> None:
        self._seal = seal
        self._copying = copying(app)
        self._examples: dict[Kind, list[Envelope]] = {}
        self._parts: dict[Kind, list[bytes]] = {}

    def seal(self, message: Message) -> Envelope:
        """Any exception raised here is the fault of this message alone."""
        kind = message.event_type, message.task, message.queue, message.sends
        parts = self._parts.get(kind)
        if parts is None:
            return self._by_celery(kind, message)
        key = str(message.id)
        return self._examples[kind][0].copied(message.id, key, key.encode().join(parts))

    def _by_celery(self, kind: Kind, message: Message) -> Envelope:
        envelope = self._seal(message)
        examples = self._examples.setdefault(kind, [])
        if self._copying and len(examples) < EXAMPLES:
            examples.append(envelope)
            if len(examples) == EXAMPLES and (parts := common_parts(*examples)) is not None:
                self._parts[kind] = parts
        return envelope


def common_parts(first: Envelope, second: Envelope) -> list[bytes] | None:
    """The frames of two messages around their ids; None if they differ in anything else."""
    if any(each.key != str(each.id) for each in (first, second)):
        return None
    where = first.exchange, first.routing_key, first.declare
    if where != (second.exchange, second.routing_key, second.declare):
        return None
    try:
        frames, others = frames_of(first), frames_of(second)
    except (AttributeError, *UNENCODABLE):
        return None
    parts = frames.split(first.key.encode())
    same = second.key.encode().join(parts) == others
    return parts if same and len(frames) <= LARGEST else None


def frames_of(envelope: Envelope) -> bytes:
    """What py-amqp writes for a message that is published."""
    written = bytearray()
    transport = SimpleNamespace(write=written.extend)
    connection: Any = SimpleNamespace(frame_max=2 * LARGEST, bytes_sent=0)
    write = frame_writer(connection, cast("Any", transport))
    arguments = dumps(PUBLISH, publish_arguments(envelope))
    write(1, CHANNEL, spec.Basic.Publish, arguments, envelope.content)
    return bytes(written)


def publish_arguments(envelope: Envelope) -> tuple[int, str, str, bool, bool]:
    """The arguments of Basic.Publish."""
    return 0, envelope.exchange, envelope.routing_key, True, False
