"""Where benchmarks run, and the whole of it in its quick form."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import all_lines
from benchmarks.frame.machine import POSTGRES, commit, unlike

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 400


def benchmarks(
    *arguments: str, module: str = "benchmarks", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_without_servers_it_says_what_to_do() -> None:
    done = benchmarks("--quick", DATABASE_URL="", STACK_DIR="")
    assert done.returncode == 2
    assert "run this through python -m deploy.devstack exec" in done.stdout


def test_lines_have_names_of_their_own() -> None:
    lines = all_lines()
    names = [line.name for line in lines]
    assert len(names) == len(set(names))
    assert all(name == name.lower() and name.replace("-", "").isalnum() for name in names)
    assert [line.number for line in lines] == sorted(line.number for line in lines)


def test_settings_that_the_figures_are_not_meant_for_are_told() -> None:
    found = {"postgres": {name: wanted or "any" for name, wanted in POSTGRES.items()}}
    assert unlike(found) == []
    found["postgres"]["synchronous_commit"] = "off"
    assert unlike(found) == ["PostgreSQL has synchronous_commit = off where on is wanted"]


def test_the_commit_is_told() -> None:
    assert commit().removesuffix("-dirty").isalnum()


@pytest.mark.amqp
def test_a_name_that_no_line_has_is_answered_with_those_there_are() -> None:
    done = benchmarks("--quick", "--only", "nobody")
    assert done.returncode == 2
    assert [line.name for line in all_lines() if line.name not in done.stdout] == []


@pytest.mark.amqp
def test_a_line_is_measured_on_a_database_of_its_own() -> None:
    """By all of the command; only the line is one that takes no time."""
    done = benchmarks("--quick", module="tests.benchmarks.one_line")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1  counting to a hundred against counting to ten thousand" in done.stdout
    assert re.search(r"^counting +at least 0\.1 .* x ", done.stdout, re.MULTILINE)
    assert re.search(r"^rows that were left +at most 0 +0 rows .* met$", done.stdout, re.MULTILINE)


@pytest.mark.amqp
@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_SECONDS)
def test_every_line_works() -> None:
    """How fast, nobody asks here: a machine that is busy makes figures void, but breaks nothing."""
    done = benchmarks("--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    expected = [f"{line.number}  {line.title}" for line in all_lines() if not line.peers]
    assert [title for title in expected if title not in done.stdout] == []
