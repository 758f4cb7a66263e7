"""The wheel holds the library, and the library alone."""

from __future__ import annotations

from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.wheel import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture
def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture
def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_it_has_outbox_and_relay_at_its_top_and_nothing_else(names: set[str], wheel: Path) -> None:
    information = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    assert {name.partition("/")[0] for name in names} == {"outbox", "relay", information}


def test_it_has_every_module_of_both(names: set[str]) -> None:
    modules = {
        str(path.relative_to(REPOSITORY))
        for package in ("outbox", "relay")
        for path in (REPOSITORY / package).rglob("*.py")
    }
    assert len(modules) > 50
    assert {name for name in names if ".dist-info/" not in name} - {
        "outbox/py.typed",
        "relay/py.typed",
    } == modules


@pytest.mark.parametrize(
    "name",
    [
        "outbox/py.typed",
        "relay/py.typed",
        "outbox/migrations/0001_initial.py",
        "outbox/management/commands/outbox.py",
        "relay/management/commands/relay.py",
    ],
)
def test_it_has_what_is_no_code_of_ours_to_import(names: set[str], name: str) -> None:
    assert name in names


def test_it_asks_for_django_celery_and_psycopg2_alone(metadata: Message) -> None:
    required = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert sorted(each.partition("<")[0] for each in required) == [
        "celery",
        "django",
        "psycopg2-binary",
    ]


def test_it_offers_pytest_its_fixtures(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith("/entry_points.txt")]
        assert archive.read(name).decode().split() == [
            "[pytest11]",
            "outbox",
            "=",
            "outbox.pytest_plugin",
        ]


def test_its_description_is_the_readme(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (REPOSITORY / "README.md").read_text()
