"""procrastinate: `defer` writes a job, a worker runs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import procrastinate
import psycopg

from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses
from benchmarks.peers.kit.child import serve
from benchmarks.peers.kit.publisher import Publisher

WORKER = {"concurrency": 30, "fetch_job_polling_interval": 0.05, "delete_jobs": "never"}


class Procrastinate:
    settings: Mapping[str, Any] = {**WORKER, "confirm_publish": True}

    def __init__(self, addresses: Addresses, variant: str) -> None:
        self._database = addresses.database
        self._app = procrastinate.App(
            connector=procrastinate.SyncPsycopgConnector(conninfo=self._database)
        )
        publisher = Publisher(addresses)

        def publish(post_id: int) -> None:
            publisher.publish(post_id)

        async def do_nothing(post_id: int) -> None:
            del post_id

        body = publish if variant == "publish" else do_nothing
        self._task: Any = self._app.task(name=post.TASK)(body)
        with self._app.open():
            self._app.schema_manager.apply_schema()
        self._connection = psycopg.connect(self._database)
        self._connection.execute(post.TABLE)
        self._connection.commit()

    def fill(self, numbers: range) -> None:
        with self._app.open():
            self._task.batch_defer(*map(post.arguments, numbers))

    def enqueue(self, numbers: range) -> None:
        task = self._task.configure(connection=self._connection)
        for number in numbers:
            with self._connection.transaction():
                self._connection.execute(post.INSERT, post.values(number))
                task.defer(**post.arguments(number))

    def insert(self, numbers: range) -> None:
        for number in numbers:
            with self._connection.transaction():
                self._connection.execute(post.INSERT, post.values(number))

    def dispatch(self, rows: int) -> float:
        """Its worker until nothing is left to do."""
        seconds = asyncio.run(self._work())
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
        done = self._connection.execute(query).fetchone()
        if done != (rows,):
            raise RuntimeError(f"{done} of {rows} jobs are recorded as done")
        return seconds

    async def _work(self) -> float:
        connector = procrastinate.PsycopgConnector(conninfo=self._database)
        app = self._app.with_connector(connector)
        async with app.open_async():
            began = time.monotonic()
            await app.run_worker_async(wait=False, **WORKER)
            return time.monotonic() - began


if __name__ == "__main__":
    serve(Procrastinate)
