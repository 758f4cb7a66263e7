from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.guard import alive, guard, marked, start_time
from deploy.devstack.process import Process, StartFailed, run
from tests.waiting import eventually

SLEEP = ["sleep", "60"]


@pytest.fixture(autouse=True)
def closed_guard() -> Iterator[None]:
    yield
    guard.close()


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return tmp_path / "a stack"


def child(stack: Path, *argv: str, stop_signal: int = signal.SIGTERM) -> Process:
    return Process(
        "child",
        argv,
        log=stack / "logs" / "child.log",
        pid_file=stack / "pids" / "child",
        stop_signal=stop_signal,
    )


def python(stack: Path, code: str) -> Process:
    return child(stack, sys.executable, "-c", code)


def test_a_process_leads_a_session_of_its_own_and_its_pid_file_says_which(stack: Path) -> None:
    process = child(stack, *SLEEP)

    process.start()

    assert os.getsid(process.pid) == process.pid
    assert (stack / "pids" / "child").read_text() == f"{process.pid}\n"
    process.stop(5)
    assert process.poll() == -signal.SIGTERM
    assert not (stack / "pids" / "child").exists()


def test_a_process_can_be_started_again_after_its_end(stack: Path) -> None:
    process = child(stack, *SLEEP)
    process.start()
    before = process.pid
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(5) == -signal.SIGKILL

    process.start()

    assert process.poll() is None
    assert process.pid != before
    process.stop(5)


def test_a_second_start_of_a_running_process_is_refused(stack: Path) -> None:
    process = child(stack, *SLEEP)
    process.start()
    with pytest.raises(RuntimeError, match="running already"):
        process.start()
    process.stop(5)


def test_a_program_that_cannot_be_run_is_named(stack: Path) -> None:
    with pytest.raises(StartFailed, match="no-such-program"):
        child(stack, "/no-such-program").start()


def test_an_end_while_starting_is_told_with_the_end_of_the_log_of_this_start(stack: Path) -> None:
    (stack / "logs").mkdir(parents=True)
    (stack / "logs" / "child.log").write_text("of an earlier start\n")
    process = python(stack, "print('the reason'); raise SystemExit(3)")
    process.start()

    with pytest.raises(StartFailed, match=r"exit code 3.*\nthe reason") as failed:
        process.wait_until(lambda: False, 10)

    assert "earlier" not in str(failed.value)


def test_a_wait_for_a_process_that_never_gets_ready_has_an_end(stack: Path) -> None:
    process = child(stack, *SLEEP)
    process.start()
    with pytest.raises(StartFailed, match=r"not ready after 0\.1 s"):
        process.wait_until(lambda: False, 0.1)
    process.stop(5)


def test_what_ignores_its_stop_signal_is_killed_after_the_deadline(stack: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)"
    process = python(stack, f"{code}; time.sleep(60)")
    process.start()
    eventually(lambda: "up" in process.output())

    process.stop(0.1)

    assert process.poll() == -signal.SIGKILL


def test_children_of_a_killed_process_are_gone_when_its_end_is_known(stack: Path) -> None:
    # One stays in the group, one leaves it for a session of its own.
    process = child(stack, "sh", "-c", "sleep 60 & setsid sleep 60 & echo up; wait")
    process.start()
    mark = process.mark
    eventually(lambda: len(marked(mark)) == 3)

    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: process.poll() is not None)

    assert eventually(lambda: marked(mark) == [])


def test_a_failed_program_is_told_with_its_exit_code_and_words(stack: Path) -> None:
    with pytest.raises(StartFailed, match=r"exit code 4.*\nno room"):
        run(child(stack, "sh", "-c", "echo no room; exit 4"), 10)


def test_a_program_that_takes_too_long_is_ended(stack: Path) -> None:
    process = child(stack, *SLEEP)
    with pytest.raises(StartFailed, match=r"longer than 0\.1 s"):
        run(process, 0.1)
    assert process.poll() is not None


def test_nothing_starts_any_more_while_everything_is_being_stopped(stack: Path) -> None:
    running = child(stack, *SLEEP)
    running.start()

    guard.abort()

    assert running.wait(5) == -signal.SIGTERM
    with pytest.raises(StartFailed, match="being stopped"):
        child(stack, *SLEEP).start()
    assert marked(guard.token) == []


def test_a_pid_that_is_used_again_is_another_process() -> None:
    started = start_time(os.getpid())

    assert alive(os.getpid(), started)
    assert not alive(os.getpid(), "1")
