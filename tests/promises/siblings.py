"""More processes beside those that `running` starts, and how a process is frozen."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.devstack.process import Process
from tests.sql import count
from tests.waiting import eventually

START_SECONDS = 30.0


def sibling(process: Process, name: str, *options: str, **environment: str) -> Process:
    """Another process of the same kind, not started: its own log, more options, other variables."""
    # Two workers of one name shut each other out from the broker.
    argv = [word.replace("pillarbox-", f"{name}-") for word in process.argv]
    assert process.log is not None
    return Process(
        name,
        [*argv, *options],
        log=process.log.with_name(f"{name}.log"),
        env={**(process.env or {}), **environment},
        cwd=process.cwd,
    )


@contextmanager
def at_work(*processes: Process) -> Iterator[None]:
    """Start them and, at the end, stop them, those too that the test has left frozen."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.send(signal.SIGCONT)
            process.send(signal.SIGTERM)
        for process in processes:
            process.stop(15)


def wait_for_sessions(**kinds: int) -> None:
    """Wait until so many processes of a kind are at work: a loop that is has a session."""
    for kind, number in kinds.items():
        sessions = f"pg_stat_activity WHERE application_name = 'pillarbox {kind}'"
        mine = f"{sessions} AND datname = current_database()"
        eventually(lambda number=number, mine=mine: count(mine) == number, START_SECONDS)


def freeze(process: Process) -> None:
    """Stop it as SIGSTOP does, and return when the kernel has stopped each of its threads."""
    process.send(signal.SIGSTOP)
    tasks = Path(f"/proc/{process.pid}/task")
    eventually(lambda: {_state(task / "stat") for task in tasks.iterdir()} == {"T"}, START_SECONDS)


def wake(process: Process) -> None:
    process.send(signal.SIGCONT)


def with_options(environment: Mapping[str, str] | None, options: str) -> dict[str, str]:
    """The variable that has the server treat a process's sessions by these options as well."""
    url = (environment or {})["DATABASE_URL"]
    return {"DATABASE_URL": f"{url}{'&' if '?' in url else '?'}options={options}"}


def _state(stat: Path) -> str:
    # The name of the program, in parentheses, may hold anything.
    return stat.read_text().rpartition(")")[2].split()[0]
