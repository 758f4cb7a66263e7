"""How the tests are shared out to two processes."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import sharded

SHOW = (
    "import json, os, tests.shard;"
    "print(json.dumps([os.environ['DATABASE_URL'], os.environ['CELERY_BROKER_URL']]))"
)


@pytest.fixture(autouse=True)
def _nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in sharded.GIVEN:
        monkeypatch.delenv(name, raising=False)


def stacks(command: list[str]) -> list[str]:
    return [after for option, after in itertools.pairwise(command) if option == "--stack-dir"]


def test_two_processes_have_servers_of_their_own(tmp_path: Path) -> None:
    command = sharded.command(["-k", "claim"], tmp_path)
    assert len(set(stacks(command))) == 2
    assert "--numprocesses=2" in command
    assert command[-2:] == ["-k", "claim"]


@pytest.mark.parametrize("name", ["DATABASE_URL", "CELERY_BROKER_URL_FILE"])
def test_servers_that_are_given_are_for_one_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv(name, "given")
    command = sharded.command(["-k", "claim"], tmp_path)
    assert len(stacks(command)) == 1
    assert "--numprocesses=2" not in command


@pytest.mark.parametrize("option", ["-s", "--pdb"])
def test_a_terminal_is_for_one_process(tmp_path: Path, option: str) -> None:
    assert len(stacks(sharded.command([option], tmp_path))) == 1


@pytest.mark.parametrize(
    ("worker", "found"), [("gw0", "first"), ("gw1", "second"), (None, "first")]
)
def test_each_process_finds_its_own(worker: str | None, found: str) -> None:
    given = {"DATABASE_URL": "first", "CELERY_BROKER_URL": "first"}
    given |= {f"{name}_1": "second" for name in given}
    own = {k: v for k, v in os.environ.items() if k != "PYTEST_XDIST_WORKER"}
    environment = own | given | ({"PYTEST_XDIST_WORKER": worker} if worker else {})
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, check=True, timeout=30
    )
    assert json.loads(shown.stdout) == [found, found]
