"""The web process by itself, for tests of what it does with callers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service import Service
from tests.settings.raw import BODY_SECONDS, HEAD_SECONDS
from tests.signals.one_process import one_process, wait_until_idle


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The web process alone, with little patience for heads and bodies."""
    patience = ("--keep-alive", str(HEAD_SECONDS))
    own = {"WEB_BODY_SECONDS": str(BODY_SECONDS), "WEB_CONCURRENCY": "1"}
    with one_process("web", tmp_path_factory.mktemp("web"), *patience, **own) as service:
        wait_until_idle(service, "web")
        yield service
