"""An outage of the broker or of the database spends no attempts, and no process dies of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.db import connection

from tests.promises.poison import work
from tests.promises.poison.letters import WHOLE, Letters, effects
from tests.promises.poison.supervised import ENDED_WELL, Supervised, supervised
from tests.relay.tcp_proxy import TcpProxy
from tests.service import database_url
from tests.sql import count, query

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.amqp,
    pytest.mark.timeout(300),
]

TRIES = 2
CLAIMS = 3
"""In an outage of the broker, in which one claim that counts would be a message's death."""
AT_ONCE = 4
"""Tasks that the worker runs at a time."""
SHORT = {
    "OUTBOX_MAX_ATTEMPTS": str(TRIES),
    "OUTBOX_REDISPATCH_SECONDS": "2",
    "DATABASE_CONNECT_TIMEOUT": "2",
}
HELD = f"""pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
    AND application_name = 'pillarbox %s' AND query LIKE '%%{work.HELD}%%'"""


def behind(url: str) -> tuple[TcpProxy, str]:
    """A proxy to the server of a URL, and the URL of the proxy."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = TcpProxy((parts.hostname, parts.port))
    credentials, _, _ = parts.netloc.rpartition("@")
    return proxy, parts._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}").geturl()


def held(process: str, number: int) -> bool:
    """So many transactions of a process are in the middle of their work."""
    return count(HELD % process) == number


def pids(group: Supervised) -> dict[str, int]:
    return {name: process.pid for name, process in group.processes.items()}


@pytest.mark.slow
def test_a_broker_outage_spends_no_attempts(letters: Letters, tmp_path: Path) -> None:
    proxy, url = behind(os.environ["CELERY_BROKER_URL"])
    environment = {**SHORT, "OUTBOX_MAX_ATTEMPTS": "1", "CELERY_BROKER_URL": url}
    with proxy, supervised(tmp_path, **environment) as group:
        group.start("postprocess", "relay", "worker")
        [running] = letters.post("task is held")
        group.until(lambda: held("worker", 1))
        before = pids(group)
        proxy.refuse()

        waiting = letters.post("", "", "")
        # Each claim and each giving back writes the row anew.
        versions: set[str] = set()

        def tried() -> bool:
            rows = query(
                "SELECT xmin::text FROM outbox_message WHERE id = %(id)s AND state = 'ready'",
                id=letters.sent[waiting[0]].id,
            )
            versions.update(version for [version] in rows)
            return len(versions) > 2 * CLAIMS

        query(work.MEND)  # what runs ends while the broker is away
        group.until(lambda: letters.done([running]))
        group.until(tried, 60)
        assert "relay.outage" in group.processes["relay"].output()
        assert not letters.done(waiting[:1])
        proxy.listen()

        group.until(lambda: letters.done([running, *waiting]))
        assert letters.attempts([running, *waiting]) == [0] * 4
        assert effects() == dict.fromkeys(letters.sent, WHOLE)
        assert pids(group) == before
        assert group.end() == ENDED_WELL


@contextmanager
def ended_by_the_server() -> Iterator[None]:
    """The server ends the sessions of the processes and takes no new ones."""
    given = connection.get_connection_params()
    name = given["dbname"]
    raw = psycopg2.connect(**{**given, "dbname": "postgres"})
    raw.autocommit = True
    with raw.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        try:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> %s AND backend_type = 'client backend'",
                [name, connection.connection.info.backend_pid],
            )
            yield
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
    raw.close()


@contextmanager
def cut_off(proxy: TcpProxy) -> Iterator[None]:
    """The server is well, and nobody reaches it."""
    proxy.refuse()
    yield
    proxy.listen()


@pytest.mark.parametrize(
    "how", ["ended by the server", pytest.param("cut off", marks=pytest.mark.slow)]
)
def test_a_database_outage_spends_no_attempts(letters: Letters, tmp_path: Path, how: str) -> None:
    proxy, url = behind(database_url("default"))
    outage: Callable[[], AbstractContextManager[None]]
    outage = ended_by_the_server if how == "ended by the server" else lambda: cut_off(proxy)
    with proxy, supervised(tmp_path, **SHORT, DATABASE_URL=url) as group:
        group.start("postprocess", "relay", "worker")
        running = letters.post(*["task is held"] * AT_ONCE)
        group.until(lambda: held("worker", AT_ONCE))
        queued = letters.post("", "")
        group.until(lambda: letters.state(*queued) == {"dispatched"})
        preparing = letters.post("", "prepare is held", "")
        group.until(lambda: held("postprocess", 1))
        before = pids(group)
        with outage():
            for name in ("postprocess", "relay"):
                process = group.processes[name]
                group.until(lambda process=process: "database is lost" in process.output())
            arriving = letters.post("", "")
            worker = group.processes["worker"]
            waits = "waits for the database"
            group.until(lambda: worker.output().count(waits) >= AT_ONCE)
        # It is being prepared again, and this is its first try.
        group.until(lambda: held("postprocess", 1), 60)
        assert [letters.row(number).attempts for number in preparing[1:2]] == [1]
        query(work.MEND)

        every = [*running, *queued, *preparing, *arriving]
        group.until(lambda: letters.done(every), 60)
        assert letters.attempts(every) == [0] * len(every)
        assert effects() == dict.fromkeys(letters.sent, WHOLE)
        assert pids(group) == before
        assert group.end() == ENDED_WELL
