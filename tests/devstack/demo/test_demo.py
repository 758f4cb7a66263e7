"""`make demo` as a whole, on the servers of the tests and databases of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from deploy.devstack import application

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DEADLINE = 360.0


def demo(*command: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end. The sender's environment is kept from one test to the next."""
    given = {name: value for name, value in os.environ.items() if name != "PORT"}
    # The tests' own settings would send the service to the tests' database.
    given.pop("DJANGO_SETTINGS_MODULE", None)
    stack_dir = Path(os.environ["STACK_DIR"]) / "demo"
    return subprocess.run(
        [sys.executable, *command, "--stack-dir", str(stack_dir)],
        cwd=application.REPOSITORY,
        env=given,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def test_what_is_written_at_the_sender_arrives_whole_though_pillarbox_is_killed() -> None:
    done = demo("-m", "deploy.devstack", "demo", "--posts", "60")

    said = done.stdout
    assert (done.returncode, done.stderr) == (0, ""), said
    assert "kill -9: web, postprocess, relay, worker" in said
    found = re.search(r"All (\d+) deliveries are done and both sides hold the same", said)
    assert found, said
    calls = int(found[1])
    assert calls > 60
    for stage in (
        "API called -> stored",
        "in its outbox -> delivered",
        "received -> ready",
        "ready -> dispatched",
        "dispatched -> done",
        "API answered -> done",
    ):
        assert re.search(rf"{stage}.* {calls} +[\d,]+ ms +[\d,]+ ms\n", said), said
    assert re.search(r"60 posts, [1-9]\d* of them deleted, .*: no differences", said), said
    assert databases_left() == []


def databases_left() -> list[str]:
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection:
        cursor = connection.cursor()
        cursor.execute(r"SELECT datname FROM pg_database WHERE datname LIKE 'demo\_%'")
        return [name for (name,) in cursor.fetchall()]


def test_a_worker_that_drops_a_tag_is_found_out() -> None:
    done = demo("-m", "tests.devstack.demo.broken_demo", "dropping", "--posts", "20")

    said = done.stdout
    assert (done.returncode, done.stderr) == (1, ""), said
    assert "NOT well" in said
    assert re.search(r"\n\d+ differences:\n  post [0-9a-f-]{36}: tags\n      sender ", said), said
    assert "are not done" not in said
    assert "hold the same" not in said


def test_a_worker_that_takes_no_task_is_found_out_in_time() -> None:
    broken = ("-m", "tests.devstack.demo.broken_demo", "idle")
    done = demo(*broken, "--posts", "10", "--deadline", "60")

    said = done.stdout
    assert (done.returncode, done.stderr) == (1, ""), said
    assert re.search(r"\n(\d+) of \1 deliveries are not done:\n", said), said
    assert "left with the sender: nothing" in said
    assert re.search(r"left with Pillarbox: .*\d+ dispatched", said), said
