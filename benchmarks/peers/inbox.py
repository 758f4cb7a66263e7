"""The durable queue in which a peer's messages are to end."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Self

from kombu import Connection

from benchmarks.frame.arm import Void

PREFETCH = 2000
PATIENCE_SECONDS = 20.0
"""For the next message, while some are still missing."""


class Inbox:
    """Made empty on entering, removed with what is in it on leaving."""

    def __init__(self, broker_url: str, name: str) -> None:
        self.name = name
        self._connection = Connection(broker_url)
        self._channel: Any = None

    def __enter__(self) -> Self:
        self._channel = self._connection.default_channel
        self._channel.queue_declare(self.name, durable=True, auto_delete=False)
        self._channel.queue_purge(self.name)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.queue_delete(self.name)
        # Celery and its peers declare one of the queue's name.
        self._channel.exchange_delete(self.name)
        self._connection.release()

    def take(self, rows: int) -> dict[str, float]:
        """Read it to the end. Raises Void unless each of so many Posts is there, and persistent.

        Those that came more than once are no fault: they are counted.
        """
        found: Counter[int] = Counter()

        def receive(message: Any) -> None:
            if message.properties.get("delivery_mode") != 2:
                raise Void("a message is not persistent: it is gone when the broker restarts")
            found[post_id(message.body)] += 1

        tag = self._channel.basic_consume(self.name, no_ack=True, callback=receive)
        try:
            while len(found) < rows:
                self._connection.drain_events(timeout=PATIENCE_SECONDS)
        except TimeoutError:
            raise Void(f"{rows - len(found)} of {rows} messages are missing") from None
        finally:
            self._channel.basic_cancel(tag)
        while (rest := self._channel.basic_get(self.name, no_ack=True)) is not None:
            receive(rest)
        if strange := found.keys() - set(range(rows)):
            raise Void(f"messages that nobody sent: {sorted(strange)[:5]}")
        return {"found": found.total(), "duplicates": found.total() - rows}


def post_id(body: bytes | str) -> int:
    """Out of a task's message, or of the plain payload of a peer that knows no tasks."""
    content = json.loads(body)
    return int((content[1] if isinstance(content, list) else content)["post_id"])
