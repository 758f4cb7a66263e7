"""The client: an honest sender, who tries each delivery again until it has a 202."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from standardwebhooks import Webhook

from tests.chaos.content import delivery, encoded, is_repeated
from tests.chaos.ledgers import Accepted, Book, Version

THREADS = 12
PAUSE_SECONDS, SLOW_SECONDS = 0.1, 1.0
TIMEOUT_SECONDS = 4.0
RETRY_SECONDS = 0.25
PATH = "/webhooks/posts/"


class Client:
    """Threads that send numbered deliveries, one after another, to the web process at `port`.

    Before the first try of a delivery it is written down as sent, and after each 202 as accepted,
    before anything else is done. `latest` is the last acceptance, `tries` counts requests, and
    `strange` has answers that an honest sender should never get. `slow` has them send less for a
    while: a machine that cannot keep up would show nothing but its backlog.
    """

    def __init__(self, port: int, secret: str, seed: int, sent: Book, accepted: Book) -> None:
        self.latest: Accepted | None = None
        self.accepted = 0
        self.tries = 0
        self.strange: list[str] = []
        self.slow = False
        self._port = port
        self._signer = Webhook(secret)
        self._seed = seed
        self._books = (sent, accepted)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._abandoned = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        self._enough.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS + 5)

    def finish(self, deadline: float) -> bool:
        """Begin no more deliveries; whether all that were begun are accepted in time."""
        self._enough.set()
        end = time.monotonic() + deadline
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        try:
            while not self._enough.wait(SLOW_SECONDS if self.slow else PAUSE_SECONDS):
                number = next(self._numbers)
                content = delivery(self._seed, number)
                self._books[0].write(content)
                for _ in range(1 + is_repeated(self._seed, number)):
                    self._insist(connection, content)
        except Exception as error:  # noqa: BLE001 - a sender that ends would hide what it met
            self.strange.append(f"a sender ended: {error!r}")
        finally:
            connection.close()

    def _insist(self, connection: http.client.HTTPConnection, content: Version) -> None:
        body = encoded(content)
        while not self._abandoned.is_set():
            try:
                status, answer = self._try(connection, content.webhook_id, body)
            except (OSError, http.client.HTTPException):
                connection.close()  # the next try opens a new one
            else:
                if status == 202:
                    message_id = json.loads(answer)["message_id"]
                    accepted = Accepted(content.webhook_id, message_id, time.time())
                    self._books[1].write(accepted)
                    self.latest = accepted
                    self._count(accepted=1)
                    return
                if status != 503:
                    self.strange.append(f"{content.webhook_id}: {status} {answer[:300]!r}")
            self._abandoned.wait(RETRY_SECONDS)

    def _try(
        self, connection: http.client.HTTPConnection, webhook_id: str, body: bytes
    ) -> tuple[int, bytes]:
        self._count(tries=1)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(webhook_id, now, body.decode()),
        }
        connection.request("POST", PATH, body, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _count(self, *, tries: int = 0, accepted: int = 0) -> None:
        with self._lock:
            self.tries += tries
            self.accepted += accepted


def wait_for(condition: Callable[[], bool], deadline: float, pause: float = 0.05) -> bool:
    """Whether the condition came true in so many seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
