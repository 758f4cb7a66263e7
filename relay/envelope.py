"""The Celery message that stands for an outbox message.

It is what `app.send_task(task, args=[], kwargs={}, task_id=str(id), queue=queue,
headers={"outbox": sends})` would send, made by Celery's own router, message factory and sender.
`send_task` itself is not called: with some result backends it subscribes to every task's result
on a connection of its own, which would leak and could hang.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import amqp
import celery
from kombu import Producer

from outbox import registry

if TYPE_CHECKING:
    from uuid import UUID

    from celery import Celery
    from kombu import Exchange, Queue

    from outbox import Message


# What `send_task` says of a task that it does not know; a worker reads both as "no".
IGNORE_RESULT = None if celery.VERSION >= (5, 7) else False


def send(app: Celery, producer: Producer, message: Message) -> None:
    """Give the message to the producer as Celery would, its signals included.

    The options of a task that this process knows apply: priority and time limits of an outbox
    task, expires too of one that is only Celery's.
    `after_task_publish` means that the producer has it; where batches are confirmed, the broker
    does not have it yet.
    """
    task: Any = app.tasks.get(message.task)
    options = _options_of(task)
    limits = {name: options.pop(name, None) for name in ("time_limit", "soft_time_limit")}
    expires = options.pop("expires", None)
    ignore_result = options.pop("ignore_result", IGNORE_RESULT)
    options |= {"queue": message.queue, "headers": {"outbox": message.sends}}
    declared = registry.find(message.event_type)
    if declared is not None and declared.priority is not None:
        options["priority"] = declared.priority
    options = app.amqp.router.route(options, message.task, (), {}, task)
    if isinstance(expires, Real):
        options["expiration"] = max(expires, 0)
    parts = app.amqp.create_task_message(
        str(message.id),
        message.task,
        [],
        {},
        expires=expires,
        reply_to=app.thread_oid,
        ignore_result=ignore_result,
        argsrepr="()",  # what Celery makes of no arguments, at a tenth of the time
        kwargsrepr="{}",
        **limits,
        **options,
    )
    app.amqp.send_task_message(producer, message.task, parts, retry=False, **options)


def _options_of(task: Any) -> dict[str, Any]:
    known = {} if task is None else task._get_exec_options()
    return {name: value for name, value in known.items() if value is not None}


@dataclass(slots=True)
class Envelope:
    """A message ready for AMQP."""

    id: UUID
    key: str
    """What the broker's return of this message is known by: its correlation id."""
    exchange: str
    routing_key: str
    declare: tuple[Queue | Exchange, ...]
    """What must exist on the broker before it can be sent."""
    content: amqp.Message
    frames: bytes | None = None
    """What to write for it, if that is known; `content` is another's of its kind then."""

    def copied(self, message_id: UUID, key: str, frames: bytes) -> Envelope:
        """The envelope of another message of this kind."""
        return Envelope(
            message_id, key, self.exchange, self.routing_key, self.declare, self.content, frames
        )


class Envelopes(Producer):
    """A producer that seals messages instead of sending them."""

    def __init__(self, app: Celery) -> None:
        super().__init__(cast("Any", None), auto_declare=False)
        self._app = app

    def seal(self, message: Message) -> Envelope:
        """Any exception raised here is the fault of this message alone."""
        send(self._app, self, message)
        content, exchange, routing_key, declare = self._sealed
        key = str(content.properties.get("correlation_id"))
        return Envelope(message.id, key, exchange, routing_key, declare, content)

    def _publish(self, *args: Any, **_: Any) -> None:
        body, priority, content_type, content_encoding, headers, properties, key = args[:7]
        exchange, declare = args[9:11]  # between them: mandatory, immediate
        content = amqp.Message(
            body,
            priority=priority,
            content_type=content_type,
            content_encoding=content_encoding,
            application_headers=headers,
            **properties,
        )
        self._sealed = content, exchange, key, tuple(declare)
