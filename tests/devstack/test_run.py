"""`make run` as a whole, on the servers of the tests and a database of its own."""

from __future__ import annotations

import functools
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from deploy.devstack import application, stack_env
from deploy.devstack.guard import start_time
from tests.waiting import eventually

PROCESSES = ("web", "postprocess", "relay", "worker")
DEADLINE = 60.0


def ended(pid: int) -> bool:
    return start_time(pid) is None


@dataclass(frozen=True, slots=True)
class Running:
    child: subprocess.Popen[bytes]
    stack_dir: Path
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def pid(self, name: str) -> int:
        path = self.stack_dir / "pids" / name
        return int(path.read_text() or 0) if path.exists() else 0

    def serves(self) -> bool:
        assert self.child.poll() is None, self.said()
        return "Ctrl-C stops everything." in self.said()


@pytest.fixture
def database() -> Iterator[dict[str, str]]:
    """The URLs of a new, empty database."""
    name = f"run_{secrets.token_hex(6)}"
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        yield {
            variable: urlsplit(os.environ[variable])._replace(path=f"/{name}").geturl()
            for variable in ("DATABASE_URL", "DATABASE_REPLICA_URL")
            if os.environ.get(variable)
        }
        connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def running(tmp_path: Path, database: dict[str, str]) -> Iterator[Running]:
    stack_dir = tmp_path / "a stack"
    given = {name: value for name, value in os.environ.items() if name != "PORT"}
    # The tests' own settings would send the service to the tests' database.
    given.pop("DJANGO_SETTINGS_MODULE", None)
    output = tmp_path / "output"
    with output.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "deploy.devstack", "run", "--stack-dir", str(stack_dir)],
            cwd=application.REPOSITORY,
            env={**given, **database},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        running = Running(child, stack_dir, output)
        eventually(running.serves, DEADLINE)
        yield running
    finally:
        child.kill()
        child.wait()


def expect_readable(stack_dir: Path) -> None:
    """The commands of the page on reading, typed at this stack, show its sample."""
    page = (application.REPOSITORY / "docs" / "reading.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 2
    blocks[0] = blocks[0].replace("export STACK_DIR=var\n", "")  # this stack has its own
    # curl alone would call a refusal a success.
    script = 'set -eu\ncurl() { command curl --fail -sS -m 20 "$@"; }\n'

    def shown() -> str:
        done = subprocess.run(
            ["bash", "-c", script + "".join(blocks)],
            env={**os.environ, "STACK_DIR": str(stack_dir)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    answer = eventually(lambda: said if "title" in (said := shown()) else "", 20)
    assert "Data-Age: " in answer


@pytest.mark.timeout(150)
def test_it_shows_a_journey_serves_restarts_what_dies_and_stops_clean(running: Running) -> None:
    said = running.said()
    for stage in ("answered 202", "ready", "dispatched", "done"):
        assert re.search(rf"\+[\d,]+ ms +{stage}", said), said
    assert re.search(r"The replica (saw|still had)", said)
    assert "All ready after" in said

    path = running.stack_dir / "stack.env"
    values = stack_env.read(path)
    assert tuple(values) == stack_env.NAMES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert values["BASE_URL"] in said
    expect_readable(running.stack_dir)

    pids = {name: running.pid(name) for name in PROCESSES}
    os.kill(pids["relay"], signal.SIGKILL)
    eventually(lambda: running.pid("relay") not in (0, pids["relay"]))
    pids["relay"] = running.pid("relay")

    running.child.send_signal(signal.SIGTERM)

    assert running.child.wait(DEADLINE) == 0, running.said()
    assert not path.exists()
    assert not list((running.stack_dir / "pids").iterdir())
    for name, pid in pids.items():
        eventually(functools.partial(ended, pid))
        assert (running.stack_dir / "logs" / f"{name}.log").exists()


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_nothing_outlives_a_run_that_is_killed(running: Running) -> None:
    pids = [running.pid(name) for name in PROCESSES]

    running.child.kill()

    eventually(lambda: not list((running.stack_dir / "pids").iterdir()), 20)
    eventually(lambda: not (running.stack_dir / "stack.env").exists())
    for pid in pids:
        eventually(functools.partial(ended, pid))
