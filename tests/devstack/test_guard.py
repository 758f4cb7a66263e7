"""Supervisors that die, each a real process, and what is left of what they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from deploy.devstack.guard import marked
from tests.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]

SUPERVISOR = """
    import sys, time
    from pathlib import Path
    from deploy.devstack.guard import guard
    from deploy.devstack.process import Process

    folder = Path(sys.argv[1])
    commands = [
        ["sleep", "60"],
        ["sh", "-c", "sleep 60 & setsid sleep 60 & wait"],
        ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"][: 3 if sys.argv[2:] else 0],
    ]
    for number, command in enumerate(filter(None, commands)):
        Process(f"p{number}", command, log=folder / "log", pid_file=folder / f"p{number}").start()
    (folder / "stack.env").touch()
    guard.remove_at_end(folder / "stack.env")
    (folder / "guard").write_text(str(guard.pid))
    (folder / "token").write_text(guard.token)
    (folder / "ready").touch()
    time.sleep(60)
"""


def supervisor(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(folder), *more],
        cwd=REPOSITORY,
        start_new_session=True,
    )
    eventually((folder / "ready").exists)
    return child


def left(folder: Path) -> list[int]:
    return marked((folder / "token").read_text())


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_supervisor_leaves_no_process_and_no_pid_file(tmp_path: Path, signum: int) -> None:
    child = supervisor(tmp_path)
    eventually(lambda: len(left(tmp_path)) == 4)  # the shell takes a moment to start its own

    child.send_signal(signum)
    child.wait(5)

    eventually(lambda: left(tmp_path) == [])
    eventually(lambda: not (tmp_path / "p0").exists() and not (tmp_path / "stack.env").exists())
    assert not (tmp_path / "p1").exists()


def test_the_guard_outlives_the_signals_of_a_terminal(tmp_path: Path) -> None:
    child = supervisor(tmp_path)
    guard_pid = int((tmp_path / "guard").read_text())

    # A terminal sends to the foreground group; somebody may also mean well and end the guard.
    os.kill(guard_pid, signal.SIGINT)
    os.kill(guard_pid, signal.SIGTERM)
    os.killpg(child.pid, signal.SIGINT)
    child.wait(5)

    eventually(lambda: left(tmp_path) == [])


@pytest.mark.slow
def test_what_ignores_the_guards_signal_is_killed(tmp_path: Path) -> None:
    child = supervisor(tmp_path, "stubborn")
    child.kill()
    child.wait(5)

    eventually(lambda: left(tmp_path) == [])
