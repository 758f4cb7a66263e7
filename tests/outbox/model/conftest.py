"""Processes that share a database which is theirs alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.outbox.model import specification as spec
from tests.outbox.model.own_schema import ENTER, own_schema
from tests.outbox.model.process import Process
from tests.sql import query


@pytest.fixture
def processes(
    settings: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Process]]:
    settings.OUTBOX = {
        **settings.OUTBOX,
        "LEASE_SECONDS": spec.LEASE,
        "REDISPATCH_SECONDS": spec.REDISPATCH,
        "HISTORY_DAYS": spec.HISTORY_DAYS,
    }
    monkeypatch.setattr("outbox.notifier.wake", lambda _: None)
    with own_schema():
        query(ENTER)
        processes = [Process(name) for name in ("Ann", "Ben", "Cid")]
        yield processes
        for process in processes:
            process.close()
        query("RESET ALL")
