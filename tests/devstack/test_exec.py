"""`exec` as a whole: real servers in a deep folder with a blank in its name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg2
import pytest

from deploy.devstack.guard import MARK, start_time
from tests.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "STACK_DIR", "BROKER", MARK)
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
WAIT = "import os, time; open(os.environ['STACK_DIR'] + '/up', 'w').close(); time.sleep(60)"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, since making a database takes seconds."""
    # Longer than the 107 bytes that the path of a unix socket may have.
    path = tmp_path_factory.mktemp("stacks") / "a stack" / ("deep" * 30)
    path.mkdir(parents=True)
    return path


def arguments(stack: Path, *command: str, options: Sequence[str] = ()) -> list[str]:
    ours = [sys.executable, "-m", "deploy.devstack", "exec", "--stack-dir", str(stack)]
    return [*ours, *options, "--", *command]


def environment(broker: str, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**inherited, "BROKER": broker, **more}


def execute(
    stack: Path,
    *command: str,
    broker: str = "filesystem",
    options: Sequence[str] = (),
    **more: str,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(stack, *command, options=options),
        cwd=REPOSITORY,
        env=environment(broker, **more),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def pids(stack: Path) -> list[int]:
    return [int(path.read_text()) for path in (stack / "pids").iterdir()]


def wait_until_up(stack: Path, child: subprocess.Popen[bytes]) -> list[int]:
    eventually(lambda: (stack / "up").exists() or child.poll() is not None, 40)
    assert child.poll() is None
    return pids(stack)


def test_data_survives_and_the_replica_follows(stack: Path) -> None:
    write = """if 1:
        import os, psycopg2
        with psycopg2.connect(os.environ["DATABASE_URL"]) as connection:
            connection.cursor().execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 41 AS number")
        connection.close()
    """
    read = """if 1:
        import os, psycopg2
        connection = psycopg2.connect(os.environ["DATABASE_REPLICA_URL"])
        cursor = connection.cursor()
        cursor.execute("SELECT number, pg_is_in_recovery() FROM kept")
        assert cursor.fetchone() == (41, True)
        raise SystemExit(41)
    """
    first = execute(stack, sys.executable, "-c", write)
    assert first.returncode == 0, first.stderr

    second = execute(stack, sys.executable, "-c", read)

    assert second.returncode == 41, second.stderr
    assert "PostgreSQL " in second.stderr
    assert pids(stack) == []


def test_the_command_finds_the_servers_in_its_environment(stack: Path) -> None:
    done = execute(stack, sys.executable, "-c", SHOW)

    shown = json.loads(done.stdout)
    assert shown["STACK_DIR"] == str(stack)
    assert shown["DATABASE_URL"].startswith("postgresql://pillarbox:")
    assert shown["DATABASE_REPLICA_URL"] != shown["DATABASE_URL"]
    assert shown["CELERY_BROKER_URL"].startswith("filesystem:///")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(shown["DATABASE_URL"])


def test_a_second_set_of_servers_has_names_of_its_own(stack: Path, tmp_path: Path) -> None:
    second = arguments(tmp_path, sys.executable, "-c", SHOW, options=["--no-replica"])

    done = execute(stack, *second, options=["--no-replica", "--suffix=_1"])

    shown = json.loads(done.stdout)
    assert (shown["STACK_DIR"], shown["STACK_DIR_1"]) == (str(tmp_path), str(stack))
    names = ("DATABASE_URL", "CELERY_BROKER_URL")
    assert len({shown[name + end] for name in names for end in ("", "_1")}) == 4


def test_the_primary_takes_settings_and_can_be_alone(stack: Path) -> None:
    ask = """if 1:
        import os, psycopg2
        assert "DATABASE_REPLICA_URL" not in os.environ
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        cursor = connection.cursor()
        for name in ("max_wal_size", "checkpoint_timeout", "fsync"):
            cursor.execute(f"SHOW {name}")
            print(*cursor.fetchone())
    """
    given = ["--no-replica", "--postgres", "max_wal_size=96MB", "--postgres"]

    done = execute(stack, sys.executable, "-c", ask, options=[*given, "checkpoint_timeout=7min"])

    assert done.stdout.split() == ["96MB", "7min", "on"], done.stderr
    wrong = execute(stack, "true", options=["--postgres", "max_wal_size"])
    assert "'max_wal_size' is not NAME=VALUE" in wrong.stderr


def test_servers_that_are_given_are_used_and_none_is_started(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgresql://db/one", "CELERY_BROKER_URL": "amqp://broker//"}

    done = execute(tmp_path, sys.executable, "-c", SHOW, **given)

    shown = json.loads(done.stdout)
    assert {name: shown[name] for name in given} == given
    assert "DATABASE_REPLICA_URL" not in shown
    assert not (tmp_path / "postgres").exists()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir(mode=0o700)

    done = execute(tmp_path, "true")

    assert done.returncode == 1
    assert str(tmp_path / "logs" / "postgres.log") in done.stderr
    assert "is not a valid data directory" in done.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_supervisor_is_the_end_of_all_servers(stack: Path, signum: int) -> None:
    check_end(stack, "filesystem", signum)


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["rabbitmq", "redis"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_supervisor_is_the_end_of_the_broker(
    stack: Path, broker: str, signum: int
) -> None:
    check_end(stack, broker, signum)


def check_end(stack: Path, broker: str, signum: int) -> None:
    (stack / "up").unlink(missing_ok=True)
    child = subprocess.Popen(
        arguments(stack, sys.executable, "-c", WAIT),
        cwd=REPOSITORY,
        env=environment(broker),
        start_new_session=True,
    )
    started = wait_until_up(stack, child)
    assert len(started) == (2 if broker == "filesystem" else 3)

    child.send_signal(signum)

    code = child.wait(20)
    assert code == (-signum if signum == signal.SIGKILL else 128 + signum)
    eventually(lambda: [pid for pid in started if start_time(pid)] == [])
    eventually(lambda: not any((stack / "pids").iterdir()))


@pytest.mark.slow
def test_a_killed_postgres_starts_again_on_the_leftovers(stack: Path) -> None:
    for _ in range(2):
        (stack / "up").unlink(missing_ok=True)
        child = subprocess.Popen(
            arguments(stack, sys.executable, "-c", WAIT), cwd=REPOSITORY, env=environment("redis")
        )
        for pid in wait_until_up(stack, child):
            os.kill(pid, signal.SIGKILL)
        child.kill()
        child.wait(10)
    assert execute(stack, "true").returncode == 0


@pytest.mark.slow
def test_a_replica_that_is_broken_is_made_anew(stack: Path) -> None:
    assert execute(stack, "true").returncode == 0
    (stack / "replica" / "global" / "pg_control").unlink()

    done = execute(stack, "true")

    assert done.returncode == 0, done.stderr
    assert (stack / "replica" / "global" / "pg_control").exists()
