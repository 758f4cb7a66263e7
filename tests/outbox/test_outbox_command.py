"""`manage.py outbox`: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from outbox import chores, partitions, store
from outbox.management.commands import outbox as module
from outbox.management.commands.outbox import Command
from outbox.models import OutboxMessage
from outbox.states import State
from tests.message_factory import HistoryFactory, MessageFactory, as_message, state_of

REPOSITORY = Path(__file__).parents[2]


def command(*words: str) -> str:
    out = StringIO()
    call_command("outbox", *words, stdout=out)
    return out.getvalue()


def exit_code(*words: str) -> int:
    """How the command ends when it is started from a shell."""
    try:
        Command().run_from_argv(["manage.py", "outbox", *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def one_of_each(db: None) -> None:
    for state in State:
        MessageFactory.create_batch(2, state=state)
    HistoryFactory.create_batch(3)


@pytest.mark.usefixtures("one_of_each")
def test_stats_as_json_have_a_number_for_each_state_and_the_age_of_its_oldest() -> None:
    store.run(
        "UPDATE outbox_message SET received_at = now() - interval '1 hour' WHERE state='dead'"
    )
    stats = json.loads(command("stats", "--json", "--exact"))
    oldest = stats.pop("oldest_seconds")
    assert stats == {"pending": 2, "ready": 2, "dispatched": 2, "dead": 2, "done": 3}
    assert oldest.keys() == {"pending", "ready", "dispatched", "dead"}
    assert oldest["dead"] == pytest.approx(3600, abs=60)


@pytest.mark.django_db
def test_stats_of_an_empty_outbox_are_zeros() -> None:
    stats = json.loads(command("stats", "--json", "--exact"))
    oldest = stats.pop("oldest_seconds")
    assert set(stats.values()) == {0}
    assert set(oldest.values()) == {None}
    assert "done" in command("stats")


@pytest.mark.usefixtures("one_of_each")
def test_stats_say_whether_done_is_an_estimate() -> None:
    assert "an estimate" in command("stats")
    exact = command("stats", "--exact").splitlines()
    assert [line.split()[:2] for line in exact[1:]] == [
        ["pending", "2"],
        ["ready", "2"],
        ["dispatched", "2"],
        ["dead", "2"],
        ["done", "3"],
    ]


@pytest.mark.usefixtures("committed")
def test_the_estimate_is_near_the_truth_analysed_or_not() -> None:
    store.run("TRUNCATE outbox_history")  # forgets what earlier statistics said
    store.run(
        "INSERT INTO outbox_history SELECT gen_random_uuid(), 'thing.happened', 'tests.happened',"
        " 'celery', 1, 1, now(), now(), now(), now() FROM generate_series(1, 5000)"
    )
    assert 2500 < json.loads(command("stats", "--json"))["done"] < 10_000
    store.run("ANALYZE outbox_history")
    assert json.loads(command("stats", "--json"))["done"] == 5000
    store.run("TRUNCATE outbox_history")


@pytest.mark.django_db
def test_show_tells_the_life_of_a_live_message() -> None:
    row = MessageFactory(
        state=State.DEAD, payload={"n": 1}, last_error="Traceback\nValueError: no", sends=3
    )
    shown = command("show", str(row.pk))
    for part in (str(row.pk), "thing.happened", "dead", "sent 3 times", "{'n': 1}", "ValueError"):
        assert part in shown
    assert "leased until" in command("show", str(MessageFactory(leased=True).pk))


@pytest.mark.django_db
def test_show_tells_the_life_of_a_done_message_without_its_payload() -> None:
    row = MessageFactory(state=State.DISPATCHED, payload={"n": 1})
    store.complete(as_message(row), counted=False, token=None, taken_at=row.received_at)
    shown = command("show", str(row.pk))
    assert "done" in shown
    assert "payload" not in shown


@pytest.mark.django_db
def test_show_of_an_unknown_message_fails() -> None:
    unknown = uuid.uuid4()
    with pytest.raises(CommandError, match=str(unknown)) as failed:
        command("show", str(unknown))
    assert failed.value.returncode == 1


@pytest.mark.django_db
def test_requeue_sends_the_named_dead_messages_back() -> None:
    rows = [MessageFactory(state=State.DEAD, unprepared=early) for early in (True, False)]
    left = MessageFactory(state=State.DEAD)
    assert command("requeue", *(str(row.pk) for row in rows)) == "2 requeued.\n"
    assert [state_of(row.pk) for row in (*rows, left)] == [State.PENDING, State.READY, State.DEAD]


@pytest.mark.django_db
def test_requeue_names_what_was_not_dead_and_fails() -> None:
    dead, ready = MessageFactory(state=State.DEAD), MessageFactory()
    with pytest.raises(CommandError, match=f"1 requeued; not dead, .*{ready.pk}"):
        command("requeue", str(dead.pk), str(ready.pk))
    assert state_of(dead.pk) == State.READY


@pytest.mark.django_db
def test_requeue_of_all_goes_once_through_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEUE_BATCH", 2)
    rows = MessageFactory.create_batch(5, state=State.DEAD)
    requeue = store.requeue

    def requeue_what_dies_again(ids: list[uuid.UUID]) -> set[uuid.UUID]:
        won = requeue(ids)
        OutboxMessage.objects.filter(pk__in=won).update(state=State.DEAD)
        return won

    monkeypatch.setattr(store, "requeue", requeue_what_dies_again)
    assert command("requeue", "--all") == "5 requeued.\n"
    assert {state_of(row.pk) for row in rows} == {State.DEAD}


@pytest.mark.usefixtures("committed")
def test_maintain_says_what_it_did() -> None:
    partitions.maintain()
    assert command("maintain").splitlines() == [
        "0 old rows deleted from the default partition.",
        *(f"{name}: 0 removed." for name in chores._chores),
    ]
    [[last]] = store.run("SELECT (now() AT TIME ZONE 'UTC')::date + 7")
    name = partitions.name_of(last)
    store.run(f"DROP TABLE {name}")
    assert command("maintain").startswith(f"created: {name}\n")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("unknown",),
        ("show",),
        ("show", "no uuid"),
        ("requeue",),
        ("requeue", "--all", str(uuid.uuid4())),
        ("stats", "--yaml"),
    ],
)
def test_wrong_usage_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"Error: |argument"):
        command(*words)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("stats", "--json"), 0),
        (("show", str(uuid.uuid4())), 1),
        (("requeue", str(uuid.uuid4())), 1),
        (("requeue", "--all"), 0),
        (("requeue",), 2),
        (("show", "no uuid"), 2),
    ],
)
def test_the_exit_code_says_how_it_went(words: tuple[str, ...], code: int) -> None:
    assert exit_code(*words) == code


def test_without_a_verb_the_process_names_them_and_exits_with_2() -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "outbox"],
        cwd=REPOSITORY,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings.test"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "usage: manage.py outbox" in ended.stderr
    assert ended.stdout == ""
