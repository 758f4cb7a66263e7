"""Connections are shared out among the workers of the web process."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.service import Service
from tests.signals.one_process import one_process, wait_until_idle
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

CONNECTIONS = 48
ROUNDS = 9
"""A worker that has no processor for a while cannot take its turn: most of them count."""
ESTABLISHED = "01"


class Workers:
    """The workers of a web process, and how many connections each has accepted."""

    def __init__(self, service: Service) -> None:
        self._port = service.port
        server = service.processes["web"].pid
        self._pids = Path(f"/proc/{server}/task/{server}/children").read_text().split()

    def accepted(self) -> list[int]:
        local = f"0100007F:{self._port:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] == ESTABLISHED}
        return [len(ours & sockets(pid)) for pid in self._pids]


def sockets(pid: str) -> set[str]:
    """What a process has open."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(each.readlink()))
    return found


def test_of_connections_that_are_kept_open_each_worker_has_a_share(
    transactional_db: None, tmp_path: Path
) -> None:
    with one_process("web", tmp_path, WEB_CONCURRENCY="2") as service:
        wait_until_idle(service, "web")
        workers = Workers(service)

        def connect(number: int) -> list[int]:
            """Open so many, one after the other: how many each worker has got of them."""
            with ExitStack() as connections:
                for _ in range(number):
                    opened = connections.enter_context(closing(service.connection()))
                    opened.connect()
                eventually(lambda: sum(workers.accepted()) == number)
                found = workers.accepted()
            eventually(lambda: sum(workers.accepted()) == 0)
            return found

        eventually(lambda: min(connect(CONNECTIONS)), 20)  # by then both have come up
        least = sorted(min(connect(CONNECTIONS)) for _ in range(ROUNDS))
    assert least[ROUNDS // 2] >= CONNECTIONS // 6, least
