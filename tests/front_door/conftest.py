"""The web process by itself, and what it writes."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from tests.front_door.wire import Secrets
from tests.service import Service, database_url
from tests.settings.raw import BODY_SECONDS, HEAD_SECONDS
from tests.signals.one_process import one_process, wait_until_idle

TABLES = ("app_delivery", "app_post", "outbox_message", "app_delivery_conflict")

Written = Callable[[], tuple[int, ...]]


@pytest.fixture(scope="module")
def given() -> Secrets:
    keys = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(3)]
    return Secrets(*(f"whsec_{key}" for key in keys))


@pytest.fixture(scope="module")
def web(
    given: Secrets, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The web process alone, with two secrets and little patience for heads and bodies."""
    own = {
        "WEBHOOK_SECRETS": f"{given.newest} {given.older}",
        "WEB_BODY_SECONDS": str(BODY_SECONDS),
        "WEB_CONCURRENCY": "1",
    }
    patience = ("--keep-alive", str(HEAD_SECONDS))
    with one_process("web", tmp_path_factory.mktemp("web"), *patience, **own) as service:
        wait_until_idle(service, "web")
        yield service


@pytest.fixture(scope="module")
def written(django_db_setup: None) -> Iterator[Written]:
    """Counts the rows of the ledger, the Posts, the messages and the conflicts."""
    connection = psycopg2.connect(database_url("default"))
    connection.autocommit = True
    cursor = connection.cursor()

    def written() -> tuple[int, ...]:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM {t})" for t in TABLES))
        return tuple(cursor.fetchone() or ())

    yield written
    for table in TABLES:
        cursor.execute(f"DELETE FROM {table}")
    connection.close()
