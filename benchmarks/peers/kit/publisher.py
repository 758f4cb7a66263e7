"""The message of a Celery task, sent without Celery: what a job's handler does. Needs kombu."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

from kombu import Connection, Producer

from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses


class Publisher:
    """Sends and waits for the broker's confirm, on a connection for each thread."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._of_thread = threading.local()

    def publish(self, number: int) -> None:
        """Send the task of one Post."""
        self._producer().publish(
            ([], post.arguments(number), EMBEDDED),
            exchange="",
            routing_key=self._addresses.queue,
            serializer="json",
            delivery_mode=2,
            **_headers(number),
        )

    def _producer(self) -> Producer:
        if not hasattr(self._of_thread, "producer"):
            connection = Connection(
                self._addresses.broker, transport_options={"confirm_publish": True}
            )
            self._of_thread.producer = Producer(connection)
        producer: Producer = self._of_thread.producer
        return producer


EMBEDDED = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))


def _headers(number: int) -> dict[str, Any]:
    """Of Celery's protocol 2."""
    task_id = str(uuid4())
    empty = ("shadow", "eta", "expires", "group", "group_index", "parent_id", "stamped_headers")
    headers: dict[str, Any] = {
        **dict.fromkeys(empty),
        "lang": "py",
        "task": post.TASK,
        "id": task_id,
        "root_id": task_id,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": repr(post.arguments(number)),
        "origin": "peer",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamps": {},
    }
    return {"headers": headers, "correlation_id": task_id, "reply_to": ""}
