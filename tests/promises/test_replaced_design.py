"""Two failures of the design that this one replaces, each beside ours on the same ground.

The third, the lagging replica, is in test_story.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from app.models import Post, Tag
from app.payload import parse
from deploy.devstack.application import REPOSITORY
from outbox import testing
from outbox.models import HistoryMessage
from tests.factories import SECRET, event, signed_delivery
from tests.promises.by_hand import indexed
from tests.service import database_url

pytestmark = pytest.mark.django_db(transaction=True)

NEW_TAG = "wanted by many"


# The control of the first: what is filled before the answer.


def replaced_webhook(request: HttpRequest) -> HttpResponse:
    """Store the Post and fill its tags, then answer."""
    post_event = parse(request.body)
    try:
        with transaction.atomic():
            post = Post.everything.create(source_id=post_event.source_id, title=post_event.title)
            for name in post_event.tags:
                post.tags.add(Tag.objects.get_or_create(name=name)[0])
    except OperationalError:
        return HttpResponse(status=504)  # by then the sender has hung up
    return HttpResponse(status=202)


urlpatterns = [path("replaced/", replaced_webhook), path("", include("settings.urls"))]


@pytest.fixture
def contested_tag(transactional_db: None) -> Iterator[Any]:
    """Somebody else is making the same new tag and has not committed: a batch, an import.

    Gives their session. Statements of the test give up a lock after half a second, as a sender
    gives up an answer.
    """
    session = psycopg2.connect(**connection.get_connection_params())
    session.cursor().execute("INSERT INTO app_tag (name) VALUES (%s)", [NEW_TAG])
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout TO '500ms'")
    yield session
    session.close()
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def test_the_design_that_it_replaces_answers_as_late_as_its_slowest_tag(
    contested_tag: Any, client: Client, settings: Any
) -> None:
    settings.ROOT_URLCONF = __name__
    settings.WEBHOOK_SECRETS = [SECRET]
    delivery = signed_delivery(event(tags=[NEW_TAG]))

    assert client.post("/replaced/", **delivery.request).status_code == 504
    assert Post.everything.count() == 0

    # The same delivery, the same wait for the same tag, our path.
    assert client.post("/webhooks/posts/", **delivery.request).status_code == 202
    contested_tag.rollback()
    assert testing.drain() == 1
    assert NEW_TAG.split()[0] in indexed("post-1")


# The control of the second: what is to run after the commit, in memory alone.

AFTER_THE_COMMIT = """
import os, signal, sys
import django
django.setup()
from django.db import transaction
import outbox
from app.models import Post

design, dies, sent = sys.argv[1:]
with transaction.atomic():
    Post.everything.create(source_id=design)
    if dies == "dies":
        transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    if design == "replaced":
        transaction.on_commit(lambda: open(sent, "w").close())
    else:
        outbox.add("post.updated", source_id=design, webhook_id="msg_1", title="A title", body="",
                   timestamp="2026-03-01T12:00:00+00:00", categories=[], tags=[])
"""


def commit(design: str, fate: str, sent: Path) -> None:
    """Store a Post in a process of its own, which may die at the worst of all moments."""
    ended = subprocess.run(
        [sys.executable, "-c", AFTER_THE_COMMIT, design, fate, str(sent)],
        env={**os.environ, "DATABASE_URL": database_url("default")},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    expected = -signal.SIGKILL if fate == "dies" else 0
    assert ended.returncode == expected, ended.stderr
    assert Post.everything.filter(source_id=design).exists()


def test_the_design_that_it_replaces_forgets_the_task_if_it_dies_after_the_commit(
    tmp_path: Path,
) -> None:
    sent = tmp_path / "sent"
    commit("replaced", "dies", sent)
    assert not sent.exists()  # the Post is there, and nobody knows that a task is owed

    # The same death, our path.
    commit("ours", "dies", sent)
    assert testing.drain() == 1
    assert HistoryMessage.objects.count() == 1


def test_the_replaced_design_sends_its_task_where_nothing_dies(tmp_path: Path) -> None:
    """The control is fair: a death after the commit is what it cannot bear."""
    sent = tmp_path / "sent"
    commit("replaced", "lives", sent)
    assert sent.exists()
