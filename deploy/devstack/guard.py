"""The guard: a small process that stops everything when its supervisor is gone, however it went.

The supervisor alone holds the write end of a pipe and writes into it what it started. The kernel
closes that end when the supervisor dies, by SIGKILL too; the guard, a session of its own that no
terminal reaches, reads the end of the file and stops what is left. This file is also run as a plain
script, so it imports the standard library alone.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

MARK = "PILLARBOX_STARTED_BY"
"""Environment variable of all that is started: `<token of the supervisor>/<number>-<name>`.

Descendants inherit it, so those that leave their process group (Erlang's helpers do) are found.
"""

GRACE = 5.0
"""Seconds that orphaned processes get between the stop signal and SIGKILL."""


def start_time(pid: int) -> str | None:
    """The kernel's start time of a process; pid and start time together are never used again.

    None when there is no such process, when it is only a zombie, or where there is no /proc.
    """
    try:
        # The second field, the program's name, may itself hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def alive(pid: int, started: str | None) -> bool:
    """Whether the process that was `pid` at `started` still runs (without /proc: any `pid`)."""
    if Path("/proc/self/stat").exists():
        return started is not None and start_time(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def marked(mark: str) -> list[int]:
    """The pids of processes whose mark is `mark` or begins with `mark/` (none without /proc)."""
    whole, prefix = f"{MARK}={mark}".encode(), f"{MARK}={mark}/".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or another user's
            continue
        if any(one == whole or one.startswith(prefix) for one in variables):
            found.append(int(entry.name))
    return found


def kill_marked(mark: str) -> None:
    """SIGKILL for all that bear the mark."""
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_rest(pid: int, started: str | None, mark: str) -> None:
    """SIGKILL for what is left of the group that `pid` leads or led, and for all with the mark."""
    # The number of a group with members is not used again; of one without, it may be.
    if start_time(pid) in (None, started):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    kill_marked(mark)


class Aborted(Exception):
    """Nothing may be started, since everything is being stopped."""


class Guard:
    """The supervisor's end: says what was started and what has ended."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._aborted = False

    @property
    def pid(self) -> int:
        """The guard process's; it is started if it does not run."""
        with self._lock:
            return self._running().pid

    def watch(self, mark: str, pid: int, *, stop_signal: int, files: list[Path]) -> None:
        """If the supervisor dies: `stop_signal` to `pid`, its group killed, `files` removed.

        Raises Aborted between `abort()` and `close()`.
        """
        record = {
            "pid": pid,
            "started": start_time(pid),
            "signal": stop_signal,
            "files": [str(path) for path in files],
        }
        self._tell(mark, record)

    def remove_at_end(self, path: Path) -> None:
        """Remove a file when the supervisor ends, cleanly or not."""
        self._tell(f"file:{path}", {"files": [str(path)]})

    def forget(self, mark: str) -> None:
        """What was watched has ended, and its files are removed."""
        self._tell(mark, None)

    @property
    def aborted(self) -> bool:
        """Whether everything is being stopped."""
        return self._aborted

    def abort(self) -> None:
        """Stop all that is watched; until `close()`, what is started next is refused."""
        self._let_go(aborted=True)

    def close(self) -> None:
        """Let the guard go; it stops whatever is still watched. Waits for it."""
        self._let_go(aborted=False)

    def _let_go(self, *, aborted: bool) -> None:
        with self._lock:
            self._aborted = aborted
            child, self._child, self._known = self._child, None, {}
            if child is not None and child.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.close()
                try:
                    child.wait(GRACE + 5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def _tell(self, key: str, record: dict[str, Any] | None) -> None:
        with self._lock:
            if self._aborted and record is not None:
                raise Aborted("everything is being stopped")
            if record is None:
                self._known.pop(key, None)
            else:
                self._known[key] = record
            if record is None and self._child is None:
                return
            try:
                self._send(self._running(), key, record)
            except BrokenPipeError:  # somebody killed the guard: another one takes over
                self._running()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        # Without a mark: the guard of a stack inside another outlives the sweep of the outer.
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, self.token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        # Its word that signals do it no harm any more.
        if self._child.stdout is None or self._child.stdout.read(1) != b"r":
            raise RuntimeError("the guard process did not start")
        self._child.stdout.close()
        for key, record in self._known.items():
            self._send(self._child, key, record)
        return self._child

    @staticmethod
    def _send(child: subprocess.Popen[bytes], key: str, record: dict[str, Any] | None) -> None:
        if child.stdin is not None:
            child.stdin.write(json.dumps([key, record]).encode() + b"\n")
            child.stdin.flush()


guard = Guard()
"""One guard for each supervisor, started with the first process."""
atexit.register(guard.close)


def stop_all(token: str, known: dict[str, dict[str, Any]]) -> None:
    """The guard's work once the supervisor is gone."""
    groups = {mark: record for mark, record in known.items() if "pid" in record}
    for record in groups.values():
        if alive(record["pid"], record["started"]):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(record["pid"], record["signal"])
    until = time.monotonic() + GRACE
    while time.monotonic() < until and any(alive(r["pid"], r["started"]) for r in groups.values()):
        time.sleep(0.05)
    for mark, record in groups.items():
        kill_rest(record["pid"], record["started"], mark)
    # Started in the moment in which the supervisor died, and so never told of.
    kill_marked(token)
    for record in known.values():
        for path in record["files"]:
            Path(path).unlink(missing_ok=True)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"r")
    known: dict[str, dict[str, Any]] = {}
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError):  # a line cut short by the supervisor's death
            key, record = json.loads(line)
            if record is None:
                known.pop(key, None)
            else:
                known[key] = record
    stop_all(sys.argv[1], known)


if __name__ == "__main__":
    main()
