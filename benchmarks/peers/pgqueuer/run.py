"""pgqueuer: `enqueue` writes a job, a queue manager runs it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses
from benchmarks.peers.kit.child import serve
from benchmarks.peers.kit.publisher import Publisher

RUN = {"batch_size": 100, "dequeue_timeout": timedelta(seconds=1)}
MANAGERS = 1
"""On a connection each, in one process."""
INSERT = post.INSERT.replace("%s", "$1", 1).replace("%s", "$2", 1)


class PGQueuer:
    settings: Mapping[str, Any] = {
        "batch_size": RUN["batch_size"],
        "managers": MANAGERS,
        "durability": "durable",
        "autovacuum": "as `pgq autovac` sets it",
        "confirm_publish": True,
    }

    def __init__(self, addresses: Addresses, variant: str) -> None:
        self._database = addresses.database
        self._variant = variant
        self._publisher = Publisher(addresses)
        self._loop = asyncio.Runner()
        self._connection = self._loop.run(self._prepare())
        self._queries = Queries(AsyncpgDriver(self._connection))

    async def _prepare(self) -> Any:
        connection = await asyncpg.connect(self._database)
        queries = Queries(AsyncpgDriver(connection))
        if not await queries.schema_is_installed():
            await queries.install()
            await queries.optimize_autovacuum()
        await connection.execute(post.TABLE)
        return connection

    def fill(self, numbers: range) -> None:
        payloads = [_payload(number) for number in numbers]
        names, priorities = [post.TASK] * len(numbers), [0] * len(numbers)
        self._loop.run(self._queries.enqueue(names, payloads, priorities))

    def enqueue(self, numbers: range) -> None:
        self._loop.run(self._commit_each(numbers, enqueue=True))

    def insert(self, numbers: range) -> None:
        self._loop.run(self._commit_each(numbers, enqueue=False))

    async def _commit_each(self, numbers: range, *, enqueue: bool) -> None:
        for number in numbers:
            async with self._connection.transaction():
                await self._connection.execute(INSERT, *post.values(number))
                if enqueue:
                    await self._queries.enqueue(post.TASK, _payload(number))

    def dispatch(self, rows: int) -> float:
        """Its managers until nothing is queued."""
        return self._loop.run(self._drain(rows))

    async def _drain(self, rows: int) -> float:
        managers = [await self._manager() for _ in range(MANAGERS)]
        began = time.monotonic()
        await asyncio.gather(*(each.run(mode=QueueExecutionMode.drain, **RUN) for each in managers))
        seconds = time.monotonic() - began
        done = await self._connection.fetchval(
            "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
        )
        if done != rows:
            raise RuntimeError(f"{done} of {rows} jobs are recorded as done")
        return seconds

    async def _manager(self) -> Any:
        manager = PgQueuer(AsyncpgDriver(await asyncpg.connect(self._database)))
        publisher = self._publisher

        async def publish(job: Job) -> None:
            await asyncio.to_thread(publisher.publish, json.loads(job.payload)["post_id"])

        async def do_nothing(job: Job) -> None:
            del job

        manager.entrypoint(post.TASK)(publish if self._variant == "publish" else do_nothing)
        return manager


def _payload(number: int) -> bytes:
    return json.dumps(post.arguments(number)).encode()


if __name__ == "__main__":
    serve(PGQueuer)
