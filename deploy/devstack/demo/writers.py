"""Threads that change posts through the sender's API, as its authors would."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from deploy.devstack import delivery
from deploy.devstack.demo.workload import Step, steps

THREADS = 8
PAUSE = 0.2
"""Seconds between two calls of a thread: at full speed a small machine would show its queues."""
PATIENCE = 30.0
"""Seconds for one call, and for a shared post to be there."""
EXPECTED = {"POST": 201, "PUT": 200, "PATCH": 200, "DELETE": 204}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was answered as it should; `answered_at` by time.time()."""

    method: str
    post_id: str
    webhook_id: str
    seconds: float
    answered_at: float


class Writers:
    """Make the calls for so many posts, each post's own in their order, side by side.

    `planned` calls are to be made. `calls` grows while they work; `failures` says what was not
    answered as it should. A post whose call fails is left alone from then on.
    """

    def __init__(self, base_url: str, posts: int) -> None:
        self.planned = sum(1 for number in range(posts) for _ in steps(number))
        self.calls: list[Call] = []
        self.failures: list[str] = []
        self._base_url = base_url
        self._ids: list[Future[str]] = [Future() for _ in range(posts)]
        self._abandoned = Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="writer")
        self._work: list[Future[None]] = []

    def start(self) -> None:
        self._work = [self._pool.submit(self._write, n) for n in range(len(self._ids))]

    @property
    def done(self) -> bool:
        """Whether every call was made, or given up."""
        return all(work.done() for work in self._work)

    def close(self) -> None:
        """Make no further calls, and wait for those under way."""
        self._abandoned.set()
        self._pool.shutdown(cancel_futures=True)

    def _write(self, number: int) -> None:
        own = self._ids[number]
        try:
            for step in steps(number):
                if self._abandoned.wait(PAUSE):
                    return
                of = own if step.shared is None else self._ids[step.shared]
                self._make(step, of)
        except Exception as error:  # noqa: BLE001 - whoever waits for the writers reports it
            self.failures.append(f"post {number}: {error!r}")
            own.cancel()  # or those who want to share it would wait for it

    def _make(self, step: Step, of: Future[str]) -> None:
        path = "/posts/" if step.method == "POST" else f"/posts/{of.result(PATIENCE)}/"
        content = b"" if step.document is None else json.dumps(step.document).encode()
        headers = {"content-type": "application/json"}
        answer = delivery.request(
            step.method, self._base_url, path, content, headers, timeout=PATIENCE
        )
        answered_at = time.time()
        if answer.status != EXPECTED[step.method]:
            raise ValueError(
                f"{step.method} {path} answered {answer.status}: {answer.body[:200]!r}"
            )
        if step.method == "POST":
            of.set_result(answer.json()["id"])
        webhook_id = answer.headers["webhook-id"]
        call = Call(step.method, of.result(0), webhook_id, answer.seconds, answered_at)
        self.calls.append(call)
