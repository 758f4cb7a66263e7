"""The pages for those who adopt the library, done as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.reader import Reader

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"

pytestmark = [pytest.mark.slow, pytest.mark.amqp, pytest.mark.timeout(900)]


def test_the_tutorial_and_the_page_on_testing_can_be_done_as_written(reader: Reader) -> None:
    reader.follow(DOCS / "tutorial.md")
    reader.follow(DOCS / "testing.md")


def test_the_quickstart_gets_a_task_done_in_a_project_with_celery(reader: Reader) -> None:
    reader.follow(HERE / "existing_project.md")
    reader.follow(DOCS / "quickstart.md")
    assert "relay waits for work" in reader.logs()
