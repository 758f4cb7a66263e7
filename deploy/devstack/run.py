"""`make run`: start everything, show one delivery's journey, serve until Ctrl-C."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from deploy.devstack import (
    address,
    application,
    credentials,
    journey,
    leftovers,
    sample,
    stack_env,
    stack_lock,
    welcome,
)
from deploy.devstack.console import Console
from deploy.devstack.guard import guard
from deploy.devstack.interruption import Interruption, Stopped
from deploy.devstack.ports import free_port
from deploy.devstack.preparation import prepare
from deploy.devstack.process import Process, StartFailed
from deploy.devstack.readiness import Readiness
from deploy.devstack.servers import Servers
from deploy.devstack.supervisor import Supervisor

DEFAULT_REPLICA_DELAY = "2"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stack-dir",
        type=lambda text: Path(text).resolve(),
        default=Path(os.environ.get("STACK_DIR") or "var").resolve(),
        help="where data, logs and pid files live (STACK_DIR, default var)",
    )


def main(options: argparse.Namespace) -> int:
    """0 when it served until it was told to stop, 1 when something failed on the way there."""
    console = Console()
    interruption = Interruption()
    interruption.install()
    run = Run(options.stack_dir, console, interruption)
    try:
        run.whole()
    except Stopped as stopped:
        console.say("everything is stopped")
        return 0 if run.sample_done else 128 + stopped.signum
    except (StartFailed, sample.Stuck, stack_lock.StackInUse, address.PortTaken) as error:
        console.line(f"\n{error}")
    except ValueError as error:
        console.line(f"\nwrong setting: {error}")
    return 1


class Run:
    """One run of the stack. ``sample_done``: whether it came so far as to serve."""

    def __init__(self, stack_dir: Path, console: Console, interruption: Interruption) -> None:
        self.stack_dir = stack_dir
        self.console = console
        self.sample_done = False
        self._interruption = interruption
        self._supervisor = Supervisor(console.say, deferred=interruption.deferred)
        self._processes: dict[str, Process] = {}

    def whole(self) -> None:
        """Start, show, serve. It ends by an exception alone, and leaves nothing running."""
        delay = replica_delay(os.environ.get("REPLICA_DELAY") or DEFAULT_REPLICA_DELAY)
        self.stack_dir.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(stack_lock.held(self.stack_dir))
            leftovers.wait_for_end(self.stack_dir / "pids", self.console.say)
            place = stack.enter_context(closing(address.choose(os.environ.get("PORT"))))
            self.console.line(self.console.bold(f"Pillarbox, in {self.stack_dir}"))
            broker = os.environ.get("BROKER") or None
            servers = Servers(
                self.stack_dir, broker=broker, replica_delay=delay, say=self.console.say
            )
            self.console.say("starting PostgreSQL, its replica and a broker")
            with self.console.step("they are up"):
                stack.enter_context(servers)
            for note in [*servers.notes, *place.notes]:
                self.console.say(note)
            kept = credentials.load(self.stack_dir / "secrets.env")
            # One that was given stands.
            metrics = {"WEB_METRICS_PORT": str(free_port())}
            env = metrics | application.environment(servers.environment, kept)
            stack.callback(self._stop)
            for process in servers.processes:
                self._supervisor.watch(process)
            self._start(place, env)
            self._serve(place, env, delay)

    def _start(self, place: address.Address, env: Mapping[str, str]) -> None:
        prepare(self.stack_dir, env, self.console)
        with self.console.step("web, postprocess, relay and worker run"):
            for process, patience in application.processes(place.port, self.stack_dir, env):
                self._processes[process.name] = process
                self._supervisor.start(process, patience=patience)
            ready = Readiness(place.base_url, self._processes).wait(self._supervisor)
        if not ready:
            self.console.say(self._processes["worker"].complaint("has not said that it is ready"))

    def _serve(self, place: address.Address, env: Mapping[str, str], delay: float) -> None:
        values = {**env, "BASE_URL": place.base_url}
        started = self.console.elapsed
        self._publish(values)
        travelled = self._travel(sample.Stack.of(values, delay))
        self.sample_done = True
        done = self.console.at(travelled.sent + travelled.done)
        self.console.lines(["", *journey.lines(travelled), ""])
        self.console.line(f"All ready after {started:.1f} s, the sample done after {done:.1f} s.")
        self.console.lines(["", *welcome.lines(place.base_url, env, self.stack_dir)])
        self._supervisor.watch_for_ever()

    def _publish(self, values: Mapping[str, str]) -> None:
        path = self.stack_dir / "stack.env"
        guard.remove_at_end(path)
        stack_env.write(path, {name: values[name] for name in stack_env.NAMES if name in values})

    def _travel(self, stack: sample.Stack) -> journey.Journey:
        try:
            return sample.travel(stack, self._supervisor)
        except sample.Stuck as stuck:
            process = self._processes[stuck.responsible]
            tail = process.log_tail(30) or "(it logged nothing)"
            message = f"{stuck}\nThe end of {process.log}:\n{tail}"
            raise sample.Stuck(message, stuck.responsible) from stuck

    def _stop(self) -> None:
        self.console.line()
        self.console.say("stopping")
        self._supervisor.stop()
        (self.stack_dir / "stack.env").unlink(missing_ok=True)
        # The servers' own deadlines bound what follows; cut short, it would be a crash for them.
        self._interruption.ignore()


def replica_delay(text: str) -> float:
    """Seconds. Raises ValueError for what is not a number of seconds from 0 up."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise ValueError(f"REPLICA_DELAY={text}: give seconds, from 0 to 86400")
    return seconds
