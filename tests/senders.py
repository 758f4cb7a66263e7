"""Senders who send one delivery after another, and each again until it is accepted."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from typing import Any, Self

from tests.factories import event
from tests.service import Service
from tests.waiting import eventually


def source_id(number: int) -> str:
    """The Post of a delivery: two of them share one, the odd one being the newer version."""
    return f"post-{number // 2}"


def webhook_id(number: int) -> str:
    return f"msg_{number}"


def content(number: int) -> dict[str, Any]:
    """What a delivery brings: all of it its own, but for one category and one tag."""
    return event(
        "post.updated",
        source_id(number),
        at=number % 2,
        title=f"title{number}",
        tags=["common", f"tag{number}"],
    )


class Senders:
    """Threads that send numbered deliveries, `pause` seconds after the last, until they are told.

    `accepted` has the message's id of each delivery that was answered 202, `under_way` those that
    were sent and have no such answer yet, `unanswered` counts the tries that ended without any.
    """

    RETRY_SECONDS = 0.2
    PATIENCE_SECONDS = 40.0

    def __init__(self, service: Service, *, threads: int, pause: float) -> None:
        self.accepted: dict[int, str] = {}
        self.under_way: set[int] = set()
        self.unanswered = 0
        self.failures: list[str] = []
        self._service = service
        self._pause = pause
        self._numbers = itertools.count()
        self._enough = threading.Event()
        self._abandoned = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        self._enough.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def finish(self, least: int, deadline: float) -> None:
        """Send on, without pauses, until so many are accepted; then end what is under way."""
        self._pause = 0.0
        eventually(lambda: len(self.accepted) >= least or self.failures, deadline)
        self._enough.set()
        eventually(lambda: not any(thread.is_alive() for thread in self._threads), deadline)
        assert self.failures == []

    def _send(self) -> None:
        while not self._enough.wait(self._pause):
            number = next(self._numbers)
            try:
                self._deliver(number)
            except Exception as error:  # noqa: BLE001 - the thread that waits for it raises it
                self.failures.append(f"delivery {number}: {error!r}")
                return

    def _deliver(self, number: int) -> None:
        self.under_way.add(number)
        end = time.monotonic() + self.PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                answer = self._service.deliver(content(number), webhook_id(number))
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
            else:
                if answer.status == 202:
                    self.accepted[number] = answer.body["message_id"]
                    self.under_way.discard(number)
                    return
                assert answer.status == 503, answer
            if self._abandoned.wait(self.RETRY_SECONDS):
                return
        raise AssertionError("no answer")
