from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.utils import timezone

from app.models import Post
from outbox import replica_guard
from outbox.replica_guard import ReplicaGuard, ReplicaRead
from outbox.routers import primary, replica_reads

pytestmark = pytest.mark.usefixtures("database")


def read_replica() -> int:
    return Post.everything.using("replica").count()


@pytest.fixture(autouse=True)
def _installed(database: None) -> Iterator[None]:
    replica_guard.install()
    connections["replica"].close()  # opened before, it might be without the guard
    yield
    connections["replica"].close()


def test_a_task_that_names_the_replica_is_told_so() -> None:
    with pytest.raises(ReplicaRead, match=r"with \.using\('default'\)"):
        read_replica()


def test_a_request_may_read_it() -> None:
    with replica_reads():
        assert read_replica() == 0


def test_a_pinned_block_may_not() -> None:
    with replica_reads(), primary(), pytest.raises(ReplicaRead):
        read_replica()


def test_a_transaction_on_the_primary_may_not() -> None:
    with replica_reads(), transaction.atomic(), pytest.raises(ReplicaRead):
        read_replica()


def test_a_query_that_asks_no_router_is_found_out() -> None:
    user = User(pk=1, date_joined=timezone.now())
    user._state.db = "replica"  # as if it had come from there

    with pytest.raises(ReplicaRead, match="auth_user"):
        user.get_next_by_date_joined()


def test_the_primary_is_not_guarded() -> None:
    assert Post.everything.count() == 0


def test_a_new_connection_is_guarded_once() -> None:
    for _ in range(3):
        connections["replica"].close()
        connections["replica"].connect()

    assert connections["replica"].execute_wrappers.count(replica_guard.guard) == 1
    with pytest.raises(ReplicaRead):
        read_replica()


def test_in_production_a_forbidden_read_is_counted_and_told_once_a_minute(
    settings: LazySettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "REPLICA_GUARD": "count"}
    guard = ReplicaGuard()
    monkeypatch.setattr(replica_guard, "guard", guard)
    connections["replica"].execute_wrappers.clear()
    connections["replica"].close()

    with caplog.at_level(logging.WARNING, logger="outbox.replica_guard"):
        for _ in range(3):
            assert read_replica() == 0
        monkeypatch.setattr(replica_guard, "LOG_SECONDS", 0.0)  # the minute is over
        assert read_replica() == 0
    connections["replica"].execute_wrappers.clear()

    assert guard.forbidden == 4
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("1 forbidden reads of the replica, the last: SELECT COUNT")
    assert second.startswith("3 forbidden reads")
