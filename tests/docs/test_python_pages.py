"""Each block of Python on the pages is run, in order, on the test database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import transaction
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from outbox.models import HistoryMessage, OutboxMessage
from outbox.testing import drain
from tests.conftest import Declare
from tests.docs.blocks import blocks
from tests.docs.pages import DOCS, REPOSITORY
from tests.docs.python_page import IN_A_SHELL, PythonPage, eager
from tests.factories import SECRET, signed_delivery

pytestmark = pytest.mark.django_db

Run = Callable[[Path], PythonPage]


@pytest.fixture
def open_page(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> Iterator[Run]:
    """A page that is ready to be run; what it leaves in Django and Celery goes with the test."""
    monkeypatch.setattr("outbox.task", declare)
    settings.WEBHOOK_SECRETS = [SECRET]
    eager(monkeypatch)
    opened: list[PythonPage] = []

    def open_page(page: Path) -> PythonPage:
        opened.append(PythonPage(page, tmp_path, settings))
        return opened[-1]

    yield open_page
    for page in opened:
        page.forget()


def finish() -> None:
    """Run every task that the page has enqueued."""
    drain()
    assert not OutboxMessage.objects.exists()


def post(page: PythonPage, url: str, content: Any, settings: Any) -> Any:
    """Deliver to an endpoint of the page."""
    settings.ROOT_URLCONF = (*page.module.urlpatterns, path("", include("settings.urls")))
    return Client().post(url, **signed_delivery(content).request)


def test_the_tasks(open_page: Run) -> None:
    page = open_page(DOCS / "tasks.md")
    page.run()
    for days in (-1, 1):
        expires = timezone.now() + timedelta(days=days)
        Session.objects.create(session_key=f"{days}", expire_date=expires)
    assert page.module.forget_sessions() == 1
    finish()
    assert HistoryMessage.objects.count() == 3


def test_the_webhook_of_a_users_own(open_page: Run, settings: Any) -> None:
    page = open_page(DOCS / "webhooks.md")
    page.run()
    assert post(page, "/webhooks/tags/", {"name": "blue"}, settings).status_code == 202
    assert post(page, "/webhooks/tags/", {"name": 1}, settings).status_code == 422
    assert post(page, "/webhooks/tags/", ["blue"], settings).status_code == 422
    finish()


def test_an_app_with_an_event_type_and_a_webhook(open_page: Run, settings: Any) -> None:
    page = open_page(DOCS / "extending.md")
    page.run(elsewhere=IN_A_SHELL)
    page.module.urlpatterns = import_module("comments.tasks").urlpatterns
    comment = {"post": "post-1", "text": "Well said."}
    for _ in range(2):
        assert post(page, "/webhooks/comments/", comment, settings).status_code == 202
    answer = post(page, "/webhooks/comments/", {"post": 1}, settings)
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/post", "/text"]
    finish()
    assert import_module("comments.models").CommentCount.objects.get().number == 2


def test_the_ways_from_celery_to_the_outbox(
    open_page: Run, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[Any]]
) -> None:
    page = open_page(DOCS / "migrating.md")
    with django_capture_on_commit_callbacks(execute=True):
        page.run()
    finish()
    old = {"order__email": "before@example.org"}
    receipts = page.module.Receipt.objects
    assert (receipts.filter(**old).count(), receipts.exclude(**old).count()) == (3, 3)
    assert sorted(each.to[0] for each in mail.outbox) == ["after@example.org", "before@example.org"]
    # Those that came in under the old name too: a plain call of the new body would have no tries.
    assert HistoryMessage.objects.filter(task=page.module.write_receipt.name).count() == 6


def test_the_readme(open_page: Run) -> None:
    page = open_page(REPOSITORY / "README.md")
    [models] = [each for each in blocks(DOCS / "tutorial.md") if each.path == "shop/models.py"]
    page.install(models)
    shop = import_module("shop.models")
    vars(page.module).update(vars(shop), transaction=transaction)
    page.run()
    finish()
    assert shop.Confirmation.objects.count() == 1
