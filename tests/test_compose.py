"""The compose file says what it does; nothing here runs it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import yaml

from deploy.compose_check import COMPOSE, faults

TEXT = COMPOSE.read_text()


def test_the_compose_file_has_no_fault() -> None:
    assert list(faults(TEXT)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("services:", "services: [", "not YAML"),
        ("services:", "services: []\nx:", "its services"),
        ("  rabbitmq:\n", "  redis:\n", "its services"),
        ("postgres:18", "postgres", "postgres: the image"),
        ("rabbitmq:4", "rabbitmq:latest", "rabbitmq: the image"),
        ('"127.0.0.1:5432:5432"', '"5432:5432"', "postgres: its ports"),
        ('"127.0.0.1:5672:5672"', '"0.0.0.0:5672:5672"', "rabbitmq: its ports"),
        ("test: [CMD, pg_isready", "tests: [CMD, pg_isready", "postgres: it has no healthcheck"),
        ("POSTGRES_PASSWORD: pillarbox", "POSTGRES_PASSWORD: 1234", "postgres: the values"),
    ],
)
def test_a_fault_of_the_compose_file_is_found(old: str, new: str, fault: str) -> None:
    assert old in TEXT
    [found] = faults(TEXT.replace(old, new))
    assert found.startswith(fault) or fault in found


def test_the_variables_that_the_compose_file_names_lead_to_its_servers() -> None:
    services = yaml.safe_load(TEXT)["services"]
    exported = dict(re.findall(r"export (\w+)=(\S+)", TEXT))
    database = urlsplit(exported.pop("DATABASE_URL"))
    broker = urlsplit(exported.pop("CELERY_BROKER_URL"))
    assert exported == {}
    postgres, rabbitmq = services["postgres"], services["rabbitmq"]
    assert postgres["environment"] == {
        "POSTGRES_USER": database.username,
        "POSTGRES_PASSWORD": database.password,
        "POSTGRES_DB": database.path.removeprefix("/"),
    }
    assert rabbitmq["environment"] == {
        "RABBITMQ_DEFAULT_USER": broker.username,
        "RABBITMQ_DEFAULT_PASS": broker.password,
    }
    assert postgres["ports"] == [f"{database.hostname}:{database.port}:5432"]
    assert rabbitmq["ports"] == [f"{broker.hostname}:{broker.port}:5672"]
