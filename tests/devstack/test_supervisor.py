from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.devstack.process import Process
from deploy.devstack.supervisor import FIRST_DELAY, LONGEST_DELAY, Supervisor, delay_before

SERVE = "import time; print('up', flush=True); time.sleep(60)"
END = "import sys; print('nothing to serve', flush=True); sys.exit(3)"


class Asked(Process):
    """A process that notes when it is asked to end."""

    asked: list[str]

    def send(self, signum: int) -> None:
        self.asked.append(self.name)
        super().send(signum)


class Stand:
    """A supervisor over stand-in commands, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.asked: list[str] = []
        self.supervisor = Supervisor(self.said.append)

    def process(self, name: str, program: str) -> Process:
        process = Asked(
            name,
            [sys.executable, "-c", program],
            log=self.folder / "logs" / f"{name}.log",
            pid_file=self.folder / "pids" / name,
        )
        process.asked = self.asked
        return process

    def pid(self, name: str) -> int:
        path = self.folder / "pids" / name
        return int(path.read_text() or 0) if path.exists() else 0

    def wait(self, ready: Callable[[], bool]) -> bool:
        return self.supervisor.wait(ready, deadline=20, pause=0.02)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    stand.supervisor.stop()


def test_a_process_that_is_killed_runs_again_under_a_new_pid(stand: Stand) -> None:
    stand.supervisor.start(stand.process("relay", SERVE))
    first = stand.pid("relay")
    os.kill(first, signal.SIGKILL)

    assert stand.wait(lambda: stand.pid("relay") not in (0, first))
    assert any("relay was ended by signal 9" in line for line in stand.said)


def test_a_process_that_ends_again_and_again_is_told_with_the_end_of_its_log(stand: Stand) -> None:
    stand.supervisor.start(stand.process("web", END))

    assert stand.wait(lambda: stand.supervisor.ends_in_a_row()["web"] >= 3)
    assert any("web ended with exit code 3" in line for line in stand.said)
    assert any("nothing to serve" in line for line in stand.said)


def test_the_delay_before_a_restart_doubles_up_to_a_limit() -> None:
    delays = [delay_before(number) for number in range(1, 100)]

    assert delays[:3] == [FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY * 4]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY


def test_processes_are_asked_to_stop_once_each_in_the_order_of_their_start(stand: Stand) -> None:
    noted = stand.folder / "noted"
    program = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    with open({str(noted)!r}, 'a') as file:\n"
        "        file.write('one ended by itself\\n')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    names = ["web", "postprocess", "relay", "worker"]
    processes = [stand.process(name, program) for name in names]
    for process in processes:
        stand.supervisor.start(process)
    assert stand.wait(lambda: all("up" in process.log_tail() for process in processes))

    stand.supervisor.stop()

    assert stand.asked == names
    assert len(noted.read_text().splitlines()) == 4
    assert not list((stand.folder / "pids").iterdir())


def test_a_process_that_does_not_want_to_end_is_killed_after_its_patience(stand: Stand) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVE}"
    process = stand.process("worker", deaf)
    stand.supervisor.start(process, patience=0.3)
    assert stand.wait(lambda: "up" in process.log_tail())

    began = time.monotonic()
    stand.supervisor.stop()

    assert process.poll() == -signal.SIGKILL
    assert time.monotonic() - began < 10


def test_a_process_that_somebody_else_started_is_restarted_but_not_stopped(stand: Stand) -> None:
    process = stand.process("postgres", SERVE)
    process.start()
    try:
        stand.supervisor.watch(process)
        first = process.pid
        os.kill(first, signal.SIGKILL)
        assert stand.wait(lambda: stand.pid("postgres") not in (0, first))

        stand.supervisor.stop()

        assert process.poll() is None
    finally:
        process.stop(1)


def test_nothing_is_started_again_while_stopping(stand: Stand) -> None:
    process = stand.process("relay", SERVE)
    stand.supervisor.start(process)
    os.kill(process.pid, signal.SIGKILL)
    stand.supervisor.stop()
    stand.supervisor.tick()

    assert process.poll() is not None


def test_waiting_ends_at_its_deadline(stand: Stand) -> None:
    assert not stand.supervisor.wait(lambda: False, deadline=0.05, pause=0.01)
