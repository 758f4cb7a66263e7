"""The broker's queue, as it is counted and emptied between turns."""

from __future__ import annotations

import time
from typing import Any, Self

import celery
from amqp import NotFound

from benchmarks.frame.arm import Void

LOOK_SECONDS = 0.02
"""Between two looks: each costs the broker and us what the relays then do not get."""


class Tray:
    """A queue that nobody reads: what the relays have put there can be counted."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._connection = celery.current_app.connection_for_write()

    def count(self) -> int:
        """How many messages lie in it."""
        try:
            with self._channel() as channel:
                return self._found(channel)
        except NotFound:
            return 0

    def clear(self) -> None:
        with self._channel() as channel:
            channel.queue_declare(self.queue, durable=True, auto_delete=False)
            channel.queue_purge(self.queue)

    def wait_for(self, number: int, patience: float) -> None:
        """Until so many have come. Raises Void if they do not come in time."""
        end = time.monotonic() + patience
        with self._channel() as channel:
            while (found := self._found(channel)) < number:
                if time.monotonic() > end:
                    raise Void(f"{found} of {number} messages were sent within {patience:.0f} s")
                time.sleep(LOOK_SECONDS)

    def _found(self, channel: Any) -> int:
        return int(channel.queue_declare(self.queue, passive=True).message_count)

    def _channel(self) -> Any:
        """To be closed by the caller: an error of the broker ends it."""
        return self._connection.channel()

    def close(self) -> None:
        """Remove the queue."""
        with self._channel() as channel:
            channel.queue_delete(self.queue)
        self._connection.release()

    def __enter__(self) -> Self:
        self.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
