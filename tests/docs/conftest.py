"""What a reader of the documentation has: the wheel, a database of its own, a shell."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from tests.docs.reader import Reader
from tests.wheel import build


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def own_database() -> Iterator[dict[str, str]]:
    """An empty database on the tests' server, as libpq's variables."""
    url = os.environ["DATABASE_URL"]
    name = f"docs_{uuid.uuid4().hex}"
    given = parse_dsn(url)
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield {
                "PGHOST": given["host"],
                "PGPORT": given["port"],
                "PGUSER": given["user"],
                "PGPASSWORD": given.get("password", ""),
                "PGDATABASE": name,
            }
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def reader(tmp_path: Path, wheel: Path, own_database: dict[str, str]) -> Iterator[Reader]:
    """A reader in an empty folder, with the tests' servers and the wheel."""
    given = {
        **own_database,
        "WHEEL": str(wheel),
        "CELERY_BROKER_URL": os.environ["CELERY_BROKER_URL"],
    }
    with Reader(tmp_path, given) as reader:
        yield reader
