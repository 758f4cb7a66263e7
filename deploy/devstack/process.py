"""One child process: its own session, log and pid file, and no way to outlive its supervisor."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.devstack.guard import MARK, Aborted, guard, kill_rest, start_time

_numbers = itertools.count(1)


class StartFailed(Exception):
    """A process did not start; the message holds the reason and the end of its own log."""


class Process:
    """A child in a session and process group of its own.

    `log` takes what it prints (None: it shares our standard input and output). `pid_file` holds its
    pid while it runs. `env` is its whole environment (None: ours). `stop_signal` asks it to end.
    `whole_group` sends that signal to its children as well, as a terminal does; servers want it for
    themselves alone. `uid` and `gid` run it as somebody else. `mark` is what its descendants bear.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path | None,
        pid_file: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: int = signal.SIGTERM,
        whole_group: bool = False,
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        self.name = name
        self.mark = f"{guard.token}/{next(_numbers)}-{name}"
        self.argv = list(argv)
        self.log = log
        self.pid_file = pid_file
        self.env = env
        self.cwd = cwd
        self.stop_signal = stop_signal
        self.whole_group = whole_group
        self.uid = uid
        self.gid = gid
        self._child: subprocess.Popen[bytes] | None = None
        self._started: str | None = None
        self._watched = False
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The pid of the last start; 0 before the first."""
        return self._child.pid if self._child is not None else 0

    def start(self) -> None:
        """Start it, the first time or again after its end.

        Raises StartFailed when the program cannot be run, RuntimeError when it runs already.
        """
        if self._child is not None and self.poll() is None:
            raise RuntimeError(f"{self.name} is running already (pid {self.pid})")
        self._child = self._spawn()
        self._started = start_time(self.pid)
        files = [] if self.pid_file is None else [self.pid_file]
        try:
            guard.watch(self.mark, self.pid, stop_signal=self.stop_signal, files=files)
        except Aborted as error:
            kill_rest(self.pid, self._started, self.mark)
            self._child.wait(10)
            raise StartFailed(f"{self.name}: {error}") from error
        self._watched = True
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{self.pid}\n")

    def _spawn(self) -> subprocess.Popen[bytes]:
        environment = {**(os.environ if self.env is None else self.env), MARK: self.mark}
        with contextlib.ExitStack() as stack:
            output = None
            if self.log is not None:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                output = stack.enter_context(self.log.open("ab"))
                self._log_start = output.seek(0, os.SEEK_END)
            try:
                return subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL if output is not None else None,
                    stdout=output,
                    stderr=subprocess.STDOUT if output is not None else None,
                    env=environment,
                    cwd=self.cwd,
                    start_new_session=True,
                    user=self.uid,
                    group=self.gid,
                    extra_groups=None if self.uid is None else [],
                )
            except OSError as error:
                raise StartFailed(f"{self.name}: cannot run {self.argv[0]}: {error}") from error

    def poll(self) -> int | None:
        """None while it runs or before the first start, else its exit code (-N: ended by signal N).

        What it left behind (children, its pid file) is gone when the code is returned.
        """
        if self._child is None:
            return None
        code = self._child.poll()
        if code is not None:
            self._clear()
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended; raises TimeoutExpired after `timeout` seconds."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        code = self._child.wait(timeout)
        self._clear()
        return code

    def wait_until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Wait until `ready()`; raises StartFailed if it ends first or `deadline` seconds pass."""
        until = time.monotonic() + deadline
        while not ready():
            code = self.poll()
            if code is not None:
                raise StartFailed(self.complaint(f"ended with exit code {code} while starting"))
            if time.monotonic() > until:
                raise StartFailed(self.complaint(f"was not ready after {deadline:g} s"))
            time.sleep(0.03)

    def send(self, signum: int) -> None:
        """Send a signal, to the group if `whole_group`. Nothing happens when it has ended."""
        if self._child is None or self.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if self.whole_group else os.kill)(self.pid, signum)

    def stop(self, deadline: float) -> None:
        """Ask it to end and wait; what is left of it after `deadline` seconds is killed."""
        if self._child is None:
            return
        self.send(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(deadline)
        kill_rest(self.pid, self._started, self.mark)
        self._child.wait(10)
        self._clear()

    def output(self, most: int = 100_000) -> str:
        """What it logged since its last start, the last `most` bytes of it."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - most))
            return log.read().decode(errors="replace")

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of what it logged since its last start."""
        return "\n".join(self.output().splitlines()[-lines:])

    def complaint(self, reason: str) -> str:
        """A sentence about it for an error, with the end of its log."""
        tail = self.log_tail()
        return f"{self.name} {reason}." + (f" The end of {self.log}:\n{tail}" if tail else "")

    def _clear(self) -> None:
        if not self._watched:
            return
        self._watched = False
        # Children of a killed leader would keep its port, and the next start would fail.
        kill_rest(self.pid, self._started, self.mark)
        if self.pid_file is not None:
            self.pid_file.unlink(missing_ok=True)
        guard.forget(self.mark)


def run(process: Process, deadline: float) -> None:
    """Run a short program to its end. Raises StartFailed when it fails or takes too long."""
    process.start()
    try:
        code = process.wait(deadline)
    except subprocess.TimeoutExpired:
        raise StartFailed(process.complaint(f"took longer than {deadline:g} s")) from None
    finally:
        process.stop(1)
    if code != 0:
        raise StartFailed(process.complaint(f"failed with exit code {code}"))
