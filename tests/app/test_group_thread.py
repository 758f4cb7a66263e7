"""A web process whose group-commit thread has died stores nothing any more: another replaces it."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.factories import event
from tests.service import Service
from tests.signals.one_process import one_process, wait_until_idle
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def accepts(web: Service) -> bool:
    with suppress(OSError, HTTPException):  # of the one that ends
        return web.deliver(event()).status == 202
    return False


def test_after_the_death_of_the_thread_that_commits_deliveries_are_accepted_again(
    tmp_path: Path,
) -> None:
    with one_process(
        "web", tmp_path, wsgi="tests.app.mortal_committer", WEB_CONCURRENCY="1"
    ) as web:
        wait_until_idle(web, "web")
        assert accepts(web)
        assert web.ask("GET", "/end").status == 204
        refused = web.deliver(event())
        assert refused.status == 503
        assert "retry-after" in refused.headers
        eventually(lambda: accepts(web), 30)
        assert "group_commit.ended" in web.processes["web"].output()
