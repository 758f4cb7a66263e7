"""Chores: what apps have `manage.py outbox maintain` do."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

import outbox
from outbox import chores, partitions, pruning, store

Act = Callable[[], int]
Register = Callable[[str, Act], None]


@pytest.fixture(autouse=True)
def none_of_the_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "_chores", {})


@pytest.fixture
def broken(database: None) -> None:
    """A chore whose connection is lost, between two that work."""
    outbox.chore("first")(lambda: 1)

    @outbox.chore("broken")
    def broken() -> int:
        store.run("SELECT pg_terminate_backend(pg_backend_pid())")
        return 0

    outbox.chore("last")(lambda: len(store.run("SELECT 1 FROM generate_series(1, 3)")))


def maintain() -> str:
    out = StringIO()
    call_command("outbox", "maintain", stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("committed")
def test_maintain_does_the_chores_and_says_what_they_removed() -> None:
    order = []
    for name in ("old carts", "old baskets"):
        outbox.chore(name)(lambda name=name: order.append(name) or len(name))  # type: ignore[misc]
    said = maintain()
    assert said.splitlines()[-2:] == ["old carts: 9 removed.", "old baskets: 11 removed."]
    assert order == ["old carts", "old baskets"], "in the order in which they were registered"


@pytest.mark.usefixtures("broken", "committed")
def test_a_chore_that_fails_stops_no_other_and_fails_the_command(
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = StringIO()
    with pytest.raises(CommandError, match="Chores that failed: broken") as failed:
        call_command("outbox", "maintain", stdout=out)
    assert failed.value.returncode == 1
    first, told, last = out.getvalue().splitlines()[-3:]
    assert (first, last) == ("first: 1 removed.", "last: 3 removed.")
    assert told.startswith("broken: failed, OperationalError: ")
    [logged] = [each for each in caplog.records if each.name == "outbox.chores"]
    assert logged.exc_info, "with its traceback"


@pytest.mark.usefixtures("committed")
def test_a_lock_on_the_history_stops_no_chore(
    connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it waited for, not even to look whether rows of a missing day are in the default."""
    monkeypatch.setattr(pruning, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(partitions, "DAYS_AHEAD", 9)
    outbox.chore("old carts")(lambda: 3)
    holder = connect()
    holder.autocommit = False
    # Not held for ever, or it would be awaited for ever.
    holder.cursor().execute("SET idle_in_transaction_session_timeout = '20s'")
    holder.cursor().execute("LOCK TABLE outbox_history_default")
    try:
        postponed, *rest = maintain().splitlines()
    finally:
        holder.close()
    assert postponed.startswith("postponed, a lock was not to be had: outbox_history_p")
    assert postponed.endswith(", outbox_history_default")
    assert rest == ["old carts: 3 removed."]


@pytest.mark.usefixtures("database")
def test_a_transaction_that_a_chore_leaves_open_is_not_the_next_ones() -> None:
    @outbox.chore("careless")
    def careless() -> int:
        connection.set_autocommit(False)
        store.run("CREATE TABLE careless (id int)")
        return 0

    outbox.chore("next")(lambda: len(store.run("SELECT 1 WHERE to_regclass('careless') IS NULL")))
    assert [(done.name, done.removed) for done in chores.run()] == [("careless", 0), ("next", 1)]


@pytest.mark.parametrize("answer", [None, "3", (3, {"shop.Cart": 3})], ids=repr)
@pytest.mark.usefixtures("database")
def test_a_chore_that_does_not_say_how_many_rows_has_failed(answer: Any) -> None:
    outbox.chore("mute")(lambda: answer)
    [done] = chores.run()
    assert isinstance(done.error, TypeError)
    assert "how many rows" in str(done.error)


def test_a_name_belongs_to_one_function() -> None:
    def act() -> int:
        return 0

    assert outbox.chore("old carts")(act) is act
    outbox.chore("old carts")(act)
    with pytest.raises(ImproperlyConfigured, match="'old carts'"):
        outbox.chore("old carts")(lambda: 0)


@pytest.mark.usefixtures("database")
def test_what_ends_the_process_ends_the_chores() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    outbox.chore("interrupted")(interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(chores.run())
