"""Signals, sent to real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outbox.stop import StopSignal
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
import django
django.setup()
from django.db import connection
from outbox.poller import Poller

def say(text):
    print(text, flush=True)

def sleeps_in_python():
    say("step")
    time.sleep(60)
    return False

def sleeps_in_a_query():
    say("step")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.5)")
    say("step done")
    return True

def waits():
    say("step")
    return False

step = globals()[sys.argv[1]]
Poller("test", step, interval=60, channel="outbox_pending", on_stop=lambda: say("on_stop")).run()
say("end")
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(process_environment: dict[str, str]) -> Iterator[Start]:
    """Starts a process with a poller around one of the steps; returns when the first step began."""
    started: list[subprocess.Popen[str]] = []

    def start(step: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, step],
            cwd=ROOT,
            env=process_environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "step\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def rest(process: subprocess.Popen[str]) -> list[str]:
    return process.communicate(timeout=10)[0].split("\n")[:-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_sleep(start: Start, number: int) -> None:
    process = start("waits")

    process.send_signal(number)

    assert rest(process) == ["on_stop", "end"]
    assert process.returncode == 0


def test_a_signal_in_a_query_lets_the_step_end(start: Start) -> None:
    process = start("sleeps_in_a_query")

    process.send_signal(signal.SIGTERM)

    assert rest(process) == ["step done", "on_stop", "end"]
    assert process.returncode == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_kills(start: Start, second: int) -> None:
    process = start("sleeps_in_python")
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)

    def ended_by_another() -> bool:
        process.send_signal(second)  # merged with the first as long as that was not heard
        return process.poll() is not None

    eventually(ended_by_another)
    assert rest(process) == []
    assert process.returncode == -second


def test_a_request_ends_the_sleep_of_another_thread() -> None:
    stop = StopSignal()
    began = time.monotonic()
    timer = threading.Timer(0.05, stop.request)
    timer.start()

    with stop.caught():
        stop.sleep(30)
    timer.join()

    assert stop.requested
    assert time.monotonic() - began < 10


def test_a_signal_between_the_look_and_the_sleep_is_not_slept_over() -> None:
    stop = StopSignal()

    with stop.caught():
        # The handler has not run yet as far as the sleep can tell; the byte is in the socket.
        os.kill(os.getpid(), signal.SIGTERM)
        stop.requested = False
        began = time.monotonic()
        stop.sleep(30)

    assert time.monotonic() - began < 10


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    wakeup_before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup_before)
    stop = StopSignal()

    with stop.caught():
        os.kill(os.getpid(), signal.SIGINT)
        inside = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    assert inside == [signal.SIG_DFL, signal.SIG_DFL]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    wakeup_after = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup_after)
    assert wakeup_after == wakeup_before


def test_a_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []

    def catches() -> None:
        with StopSignal().caught():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=catches)
    thread.start()
    thread.join()

    assert seen == [before]


def test_a_sleep_needs_its_block() -> None:
    with pytest.raises(RuntimeError, match="caught"):
        StopSignal().sleep(1)
