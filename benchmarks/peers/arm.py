"""A peer as an arm: each slice in a new database, checked by what is in the queue after it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from benchmarks.frame.arm import Slice
from benchmarks.frame.comparison import Say
from benchmarks.frame.stage import Stage
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.child_process import ChildProcess
from benchmarks.peers.environment import Environment
from benchmarks.peers.inbox import Inbox
from benchmarks.peers.leftovers import remove_delayed_delivery
from benchmarks.peers.stomp_broker import Broker, stomp_broker

FIRST_RATE = 200.0
"""Rows a second that are expected of a peer before it was seen at work."""
FEWEST = 50
FILL_SECONDS, WORK_SECONDS = 180.0, 120.0


class PeerProcess:
    """A peer's relay or worker: one process, one variant of its settings."""

    def __init__(self, stage: Stage, peer: Peer, variant: str, say: Say) -> None:
        self.name = peer.title(variant)
        self.unit = "dispatched row"
        self.settings: Mapping[str, Any] = {}
        self._stage = stage
        self._peer = peer
        self._variant = variant
        self._say = say
        self._rate = FIRST_RATE
        self._stack = ExitStack()
        self._broker = Broker(stage.broker_url, stage.broker)

    def __enter__(self) -> Self:
        self._python = Environment(self._peer).python
        if self._peer.stomp:
            folder = self._stage.folder / "stomp"
            self._broker = self._stack.enter_context(stomp_broker(folder, self._say))
        return self

    def __exit__(self, *_: object) -> None:
        remove_delayed_delivery(self._broker.url)
        self._stack.close()

    def run(self, seconds: float) -> Slice:
        """Fill so many rows as it will take about so long for, and let it send them."""
        rows = max(FEWEST, round(self._rate * seconds))
        with Inbox(self._broker.url, f"peer-{self._peer.name}") as inbox:
            found, processor = self._work("dispatch", rows, inbox.name)
            # Whose jobs do nothing has sent nothing; that they are done it has seen itself.
            told = inbox.take(0 if self._variant == "nothing" else rows)
        self._rate = rows / found["seconds"]
        return Slice(rows, found["seconds"], processor, {"sent": rows, **told})

    def enqueue(self, rows: int) -> list[float]:
        """Microseconds that enqueueing adds to a transaction, block by block of transactions."""
        found, _processor = self._work("enqueue", rows, f"peer-{self._peer.name}")
        blocks = found["blocks"]
        pairs = zip(blocks["enqueue"], blocks["insert"], strict=True)
        size = found["rows"] / len(blocks["enqueue"])
        return [1e6 * (own - bare) / size for own, bare in pairs]

    def _work(self, work: str, rows: int, queue: str) -> tuple[dict[str, Any], dict[str, float]]:
        with ExitStack() as stack:
            url = stack.enter_context(self._stage.another_database("benchmark_peer"))
            child = stack.enter_context(self._child(work, rows, queue, url))
            child.wait_until_ready(FILL_SECONDS)
            self._settle(url)
            meter = self._stage.meter(broker=[self._broker.pid], peer=[child.pid])
            with meter.turn() as turn:
                found = child.work(WORK_SECONDS)
        self.settings = {key: found[key] for key in ("settings", "python", "versions")}
        return found, turn.processor

    def _child(self, work: str, rows: int, queue: str, url: str) -> ChildProcess:
        arguments = [work, "--database", url, "--broker", self._broker.url, "--queue", queue]
        arguments += ["--stomp-port", str(self._broker.stomp_port)]
        arguments += ["--rows", str(rows), "--variant", self._variant]
        log = Path(self._stage.folder) / f"{self._peer.name}.log"
        return ChildProcess(self._python, self._peer.folder, arguments, log)

    def _settle(self, url: str) -> None:
        """Count its rows anew, and write out what is dirty."""
        with contextlib.closing(self._stage.connect(url)) as connection:
            connection.cursor().execute("VACUUM ANALYZE")
        self._stage.settle()
