"""Keeps processes running: one that ends is started again, as systemd would."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from deploy.devstack.process import Process, StartFailed

FIRST_DELAY = 0.2
LONGEST_DELAY = 15.0
HEALTHY_AFTER = 10.0
"""Seconds after which a process counts as healthy, and its next end as its first."""
REPEATED = 3
"""So many ends in a row are told with the end of the log."""


def delay_before(restart: int) -> float:
    """Seconds to wait before the nth start in a row (from 1): doubling, capped."""
    return min(FIRST_DELAY * 2.0 ** min(restart - 1, 16), LONGEST_DELAY)


@dataclass(slots=True)
class Watched:
    """A process, how often it ended in a row, and when it is started again."""

    process: Process
    started_at: float
    patience: float | None = None  # seconds to end by itself; None: somebody else stops it
    ends: int = 0
    start_at: float | None = None


class Supervisor:
    """Watches processes, and stops those that it started itself.

    It has no thread and no timer: whoever waits for something waits with ``wait`` (or calls
    ``tick`` now and then), so an idle supervisor costs two wake-ups a second.
    """

    tick_seconds = 0.5

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        deferred: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._say = say
        self._deferred = deferred
        self._watched: list[Watched] = []

    def watch(self, process: Process) -> None:
        """Watch a process that somebody else has started and will stop."""
        self._watched.append(Watched(process, time.monotonic()))

    def start(self, process: Process, *, patience: float = 10.0) -> None:
        """Start a process and watch it; ``patience``: seconds to end by itself when stopped.

        Raises:
            StartFailed: it cannot be run.
        """
        with self._deferred():
            process.start()
            self._watched.append(Watched(process, time.monotonic(), patience))

    def ends_in_a_row(self) -> dict[str, int]:
        """How often each process ended without having been healthy in between."""
        return {one.process.name: one.ends for one in self._watched}

    def tick(self) -> None:
        """Look at every process once: note an end, start again what is due."""
        for one in self._watched:
            with self._deferred():
                self._look_at(one, time.monotonic())

    def wait(
        self, ready: Callable[[], bool], *, deadline: float, pause: float | None = None
    ) -> bool:
        """Tick until ``ready()``; False when ``deadline`` seconds passed without it."""
        until = time.monotonic() + deadline
        while not ready():
            if time.monotonic() >= until:
                return False
            self.tick()
            time.sleep(self.tick_seconds if pause is None else pause)
        return True

    def watch_for_ever(self) -> None:
        """Tick until an exception (a signal) ends it."""
        while True:
            self.tick()
            time.sleep(self.tick_seconds)

    def stop(self) -> None:
        """Stop what was started: asked in the order of the start, then each waited for.

        What is left of one after its patience is killed. A second request to end, while this
        runs, cuts the patience short.
        """
        watched, self._watched = self._watched, []
        started = [one for one in watched if one.patience is not None]
        asked_at = time.monotonic()
        try:
            for one in started:
                one.process.send(one.process.stop_signal)
            for one in started:
                left = asked_at + (one.patience or 0.0) - time.monotonic()
                _await_end(one.process, max(left, 0.1))
        except KeyboardInterrupt:
            self._say("asked again: stopping at once")
            for one in started:
                one.process.stop(0.0)

    def _look_at(self, one: Watched, now: float) -> None:
        if one.start_at is not None:
            if now >= one.start_at:
                self._start_again(one, now)
            return
        code = one.process.poll()
        if code is None:
            return
        if now - one.started_at >= HEALTHY_AFTER:
            one.ends = 0
        self._plan_restart(one, now, _reason(code))

    def _plan_restart(self, one: Watched, now: float, reason: str) -> None:
        one.ends += 1
        delay = delay_before(one.ends)
        one.start_at = now + delay
        self._say(f"{one.process.name} {reason}; starting it again in {delay:.1f} s")
        # Every tenth time from then on: a process that never comes up must not fill a screen.
        if one.ends % 10 == REPEATED:
            self._say(f"{one.process.name} ended {one.ends} times in a row; the end of its log:")
            for line in _indented(one.process.log_tail(15)):
                self._say(line)

    def _start_again(self, one: Watched, now: float) -> None:
        one.start_at, one.started_at = None, now
        try:
            one.process.start()
        except StartFailed as error:
            self._plan_restart(one, now, f"cannot be started: {error}")


def _await_end(process: Process, seconds: float) -> None:
    # Not ``stop`` at once: it would ask again, and for Celery and for the service's own loops a
    # second signal means to drop the work in hand.
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.stop(0.0)


def _reason(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by signal {-code}"


def _indented(text: str) -> Sequence[str]:
    return [f"    {line}" for line in text.splitlines()] or ["    (it logged nothing)"]
