"""One demo: both sides start, posts are written, Pillarbox is killed meanwhile, all is compared."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from deploy.devstack import address, delivery
from deploy.devstack.console import Console
from deploy.devstack.demo.records import Records, fresh, named
from deploy.devstack.demo.report import report
from deploy.devstack.demo.sender import Sender
from deploy.devstack.demo.watch import Watch
from deploy.devstack.demo.writers import THREADS, Writers
from deploy.devstack.interruption import Interruption
from deploy.devstack.ports import free_port
from deploy.devstack.process import StartFailed
from deploy.devstack.run import Run
from deploy.devstack.sample import clock_ahead

OVERALL = 300.0
"""Seconds for the whole demo: the deliveries have what the preparation leaves of it."""
LEAST = 30.0
"""Seconds that they have in any case."""
PATIENCE = 60.0
"""Seconds for one side to answer."""
POSTS = 300
FEW_POSTS = 60
"""When files are the broker: a worker takes a few tasks a second from them."""
SOON = {"OUTBOX_LEASE_SECONDS": "10", "OUTBOX_REDISPATCH_SECONDS": "20"}
"""Unless they are given. What a killed process held is taken up after so long; with the minutes
that a service has, a demo would wait for them."""


class Demo(Run):
    """A run that drives deliveries through the DRF sender, compares, and ends.

    `posts` are written; None for what the broker is good for. `deadline`: seconds for all of them
    to be done. `well` says whether every delivery was done and both sides hold the same.
    """

    def __init__(
        self,
        stack_dir: Path,
        console: Console,
        interruption: Interruption,
        *,
        posts: int | None,
        deadline: float,
    ) -> None:
        super().__init__(stack_dir, console, interruption)
        self.well = False
        self._posts = posts
        self._deadline = deadline
        self._sender = Sender(stack_dir, free_port())
        self._databases = ExitStack()
        # Of this stack's own: the server may be one that others use too.
        digest = hashlib.sha256(str(stack_dir).encode()).hexdigest()[:8]
        self._names = (f"demo_{digest}_sender", f"demo_{digest}_pillarbox")

    def _start(self, place: address.Address, env: Mapping[str, str]) -> None:
        with self.console.step("the sender is installed, with the wheel of this source"):
            self._sender.install()
        servers = ("DATABASE_URL", "DATABASE_REPLICA_URL")
        self._databases.enter_context(fresh(env["DATABASE_URL"], *self._names))
        own = {name: named(env[name], self._names[1]) for name in servers if name in env}
        super()._start(place, {**SOON, **env, **own})
        with self.console.step("the sender runs: its web, relay and worker"):
            settings = self._sender.environment(
                named(env["DATABASE_URL"], self._names[0]),
                env["CELERY_BROKER_URL"],
                place.base_url,
                env["WEBHOOK_SECRETS"].replace(",", " ").split()[0],
            )
            self._sender.prepare(settings)
            for process, patience in self._sender.processes(settings):
                self._supervisor.start(process, patience=patience)
            if not self._answers(self._sender.base_url, "/posts/", PATIENCE):
                log = self.stack_dir / "logs" / "sender-web.log"
                raise StartFailed(f"the sender was not ready after {PATIENCE:.0f} s; see {log}")

    def _serve(self, place: address.Address, env: Mapping[str, str], _: float) -> None:
        urls = (named(env["DATABASE_URL"], name) for name in self._names)
        with ExitStack() as stack:
            sender, receiver = (stack.enter_context(closing(Records(url))) for url in urls)
            self._posts = self._posts or _posts_for(env["CELERY_BROKER_URL"])
            writers = stack.enter_context(closing(Writers(self._sender.base_url, self._posts)))
            self._drive(Watch(writers, sender, receiver, self.console), place)
            writers.close()
            ahead = clock_ahead(env["DATABASE_URL"])
            result = report(writers, sender, receiver, ahead)
        lease = (SOON | dict(env))["OUTBOX_LEASE_SECONDS"]
        title = f"Pillarbox was killed meanwhile; what it held then waited for leases of {lease} s."
        self.console.lines(["", title, "", *result.lines, "", *result.faults])
        self.well = not result.faults
        self.console.line(
            f"All {len(writers.calls):,} deliveries are done and both sides hold the same, "
            f"after {self.console.elapsed:.0f} s."
            if self.well
            else f"NOT well. Logs: {self.stack_dir / 'logs'}{os.sep}"
        )

    def _drive(self, watch: Watch, place: address.Address) -> None:
        """Have everything written and delivered, and Pillarbox killed in the middle."""
        calls = watch.writers.planned
        patience = min(self._deadline, max(OVERALL - self.console.elapsed, LEAST))
        until = time.monotonic() + patience
        self.console.say(
            f"{THREADS} threads write {self._posts:,} posts: {calls:,} calls of the sender's API"
        )
        watch.writers.start()
        self._supervisor.wait(lambda: watch.stored(calls // 2), deadline=patience, pause=0.1)
        self._kill()
        if self._answers(place.base_url, "/livez", min(PATIENCE, until - time.monotonic())):
            self.console.say("Pillarbox answers again")
        self._supervisor.wait(watch.finished, deadline=until - time.monotonic(), pause=0.2)

    def _kill(self) -> None:
        """Kill all of Pillarbox's processes as they work; the supervisor starts them again."""
        for process in self._processes.values():
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self.console.say(f"kill -9: {', '.join(self._processes)}")

    def _answers(self, base_url: str, path: str, patience: float) -> bool:
        def answers() -> bool:
            try:
                return delivery.get(base_url, path, timeout=5).status == 200
            except OSError:
                return False

        return self._supervisor.wait(answers, deadline=patience, pause=0.1)

    def _stop(self) -> None:
        super()._stop()
        self._databases.close()


def _posts_for(broker_url: str) -> int:
    return FEW_POSTS if broker_url.startswith("filesystem://") else POSTS
