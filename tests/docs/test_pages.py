"""The pages for those who adopt the library, done as written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, REPOSITORY
from tests.docs.reader import Reader
from tests.service import free_port

HERE = Path(__file__).resolve().parent

pytestmark = [pytest.mark.slow, pytest.mark.amqp, pytest.mark.timeout(900)]

OPEN_THE_LIST_OF_THE_DEAD = """
python manage.py shell -v 0 -c "
from django.contrib.auth.models import User
from django.test import Client
client = Client(HTTP_HOST='localhost')
client.force_login(User.objects.create_superuser('reader'))
print(client.get('/admin/outbox/outboxmessage/?state__exact=dead').status_code)"
"""


def test_the_tutorial_and_the_page_on_testing_can_be_done_as_written(reader: Reader) -> None:
    reader.follow(DOCS / "tutorial.md")
    assert reader.run(OPEN_THE_LIST_OF_THE_DEAD).strip() == "200"
    reader.follow(DOCS / "testing.md")


def test_the_quickstart_gets_a_task_done_in_a_project_with_celery(reader: Reader) -> None:
    reader.follow(HERE / "existing_project.md")
    reader.follow(DOCS / "quickstart.md")
    assert "relay waits for work" in reader.logs()


def test_an_app_of_ones_own_runs_as_the_page_on_extending_says(
    tmp_path: Path, own_database: dict[str, str]
) -> None:
    at = "{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format_map(own_database)
    given = {
        "PILLARBOX": str(REPOSITORY),
        "DATABASE_URL": f"postgresql://{at}",
        "CELERY_BROKER_URL": os.environ["CELERY_BROKER_URL"],
        "PORT": str(free_port()),
    }
    with Reader(tmp_path, given) as reader:
        reader.run("export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1")
        reader.follow(DOCS / "extending.md")
