"""Whose processor time it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.frame.arm import Void
from benchmarks.frame.processor import Meter, Turn

BURN_SECONDS = 0.3
BURN = f"import time\nwhile time.process_time() < {BURN_SECONDS}: pass\n"
WAIT = "import sys\nsys.stdout.write('done\\n')\nsys.stdout.flush()\nsys.stdin.readline()\n"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}], check=True)\n"
EXACT = 0.05
"""Ticks of several processes."""


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A program that has burned its time, and waits."""
    argv = [sys.executable, "-c", request.param + WAIT]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield process
        process.kill()


@pytest.mark.parametrize("child", [BURN], indirect=True)
def test_a_process_counts_for_its_own_kind_and_not_for_its_parents(
    child: subprocess.Popen[str],
) -> None:
    apart = Meter({"child": [child.pid], "tests": [os.getpid()]}).read()
    together = Meter({"tests": [os.getpid()]}).read()
    assert apart["child"] >= BURN_SECONDS - EXACT
    assert together["tests"] >= apart["tests"] + BURN_SECONDS - EXACT


@pytest.mark.parametrize("child", [PARENT], indirect=True)
def test_what_has_ended_counts_for_the_one_who_waited_for_it(child: subprocess.Popen[str]) -> None:
    assert Meter({"parent": [child.pid]}).read()["parent"] >= BURN_SECONDS - EXACT


def test_a_turn_has_what_was_used_in_it() -> None:
    meter = Meter({"tests": [os.getpid()]})
    with meter.turn() as turn:
        subprocess.run([sys.executable, "-c", BURN], check=True)
    with meter.turn() as idle:
        pass
    own = turn.slice(100, pairs=3)
    assert (own.units, own.told) == (100, {"pairs": 3})
    assert own.seconds >= BURN_SECONDS
    assert own.processor["tests"] >= BURN_SECONDS - EXACT
    assert own.microseconds["tests"] == pytest.approx(own.processor["tests"] * 1e4)
    assert idle.processor["tests"] < own.processor["tests"]


@pytest.mark.parametrize("child", [""], indirect=True)
def test_who_ends_while_it_is_measured_voids_it(child: subprocess.Popen[str]) -> None:
    meter = Meter({"relay": [child.pid], "tests": [os.getpid()]})
    meter.read()
    child.kill()
    child.wait(10)
    with pytest.raises(Void, match="ended while it was measured: relay"):
        meter.read()


def test_nothing_done_is_no_result() -> None:
    with pytest.raises(Void, match="nothing was done"):
        Turn(1.0, {}).slice(0)
