"""The process of a peer, as we see it: its answers, each with a deadline."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks.frame.arm import Void
from deploy.devstack.servers import REPOSITORY

STOP_SECONDS = 10.0
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")
"""Of our environment: what names our settings or servers is not for a peer."""


class ChildProcess:
    """`benchmarks.peers.kit.child`, under the peer's own interpreter."""

    def __init__(self, python: Path, folder: str, arguments: Sequence[str], log: Path) -> None:
        self._argv = [str(python), "-m", f"benchmarks.peers.{folder}.run", *arguments]
        self._log = log
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=REPOSITORY,
                env={name: os.environ[name] for name in KEPT if name in os.environ},
            )
        return self

    def __exit__(self, *_: object) -> None:
        child = self._running
        if child.stdin and not child.stdin.closed:
            child.stdin.close()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_SECONDS)
        if child.stdout:
            child.stdout.close()

    @property
    def pid(self) -> int:
        return self._running.pid

    def wait_until_ready(self, deadline: float) -> None:
        """Until it has filled its table. Raises Void."""
        if (line := self._answer(deadline)) != "ready":
            raise Void(self._complaint(f"said {line!r} when it should have been ready"))

    def work(self, deadline: float) -> dict[str, Any]:
        """Let it work; what it found. Raises Void."""
        child = self._running
        assert child.stdin is not None  # noqa: S101 (a pipe, as started)
        try:
            child.stdin.write("go\n")
            child.stdin.flush()
        except BrokenPipeError:
            raise Void(self._complaint("has ended")) from None
        found: dict[str, Any] = json.loads(self._answer(deadline))
        return found

    def _answer(self, deadline: float) -> str:
        child = self._running
        assert child.stdout is not None  # noqa: S101 (a pipe, as started)
        timer = threading.Timer(deadline, child.kill)
        timer.start()
        try:
            line = child.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise Void(self._complaint(f"gave no answer (it had {deadline:.0f} s)"))
        return line.strip()

    def _complaint(self, reason: str) -> str:
        tail = " / ".join(self._log.read_text(errors="replace").splitlines()[-3:])
        return f"{self._argv[2]} {reason}: {tail}"

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._child is None:
            raise RuntimeError("it was not started")
        return self._child
