"""What a user of the outbox writes, and what is refused where it is written."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import celery
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

import outbox
from outbox import registry
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.states import State
from tests.conftest import Declare

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def confirm(declare: Declare) -> Task[Any]:
    """A task with an argument that must be given, one that may, and any others."""

    @declare("order.placed", queue="mail")
    def confirm(order_id: int, note: str = "", **more: object) -> str:
        """Confirm an order."""
        return f"{order_id} {note} {more}"

    return confirm


def celery_task(task: Task[Any]) -> Any:
    return celery.current_app.tasks[task.name]


# Refused at import


def body(order_id: int) -> None: ...


async def coroutine(order_id: int) -> None: ...


def generator(order_id: int) -> Iterator[int]:
    yield order_id


async def async_generator(order_id: int) -> AsyncIterator[int]:
    yield order_id


def positional_only(order_id: int, /) -> None: ...


def any_positional(*order_ids: int) -> None: ...


@pytest.mark.parametrize(
    "body",
    [coroutine, generator, async_generator, positional_only, any_positional],
    ids=lambda body: body.__name__,
)
def test_a_body_that_cannot_be_run_with_a_payload_is_refused(
    declare: Declare, body: Callable[..., object]
) -> None:
    with pytest.raises(TypeError, match=body.__name__):
        declare("order.placed")(body)
    assert registry.find("order.placed") is None


@pytest.mark.parametrize(
    "options",
    [
        {"autoretry_for": (OSError,)},
        {"max_retries": 3},
        {"default_retry_delay": 5},
        {"retry_backoff": True},
        {"retry_kwargs": {"max_retries": 3}},
        {"acks_late": False},
        {"reject_on_worker_lost": True},
        {"retry_on_worker_lost": True},
        {"bind": True},
        {"base": celery.Task},
        {"ignore_result": False},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_of_celery_that_belongs_to_the_outbox_is_refused(
    declare: Declare, options: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        declare("order.placed", **options)(body)


@pytest.mark.parametrize("time_limit", [None, 0, -1])
def test_a_task_without_a_transaction_needs_a_time_limit(
    declare: Declare, time_limit: int | None
) -> None:
    with pytest.raises(TypeError, match="time_limit"):
        declare("order.placed", atomic=False, time_limit=time_limit)(body)


@pytest.mark.parametrize("max_attempts", [0, -1])
def test_a_task_gets_at_least_one_try(declare: Declare, max_attempts: int) -> None:
    with pytest.raises(TypeError, match="max_attempts"):
        declare("order.placed", max_attempts=max_attempts)(body)


@pytest.mark.parametrize("event_types", [(), ("",), ("order.placed", "")])
def test_a_task_without_an_event_type_is_refused(
    declare: Declare, event_types: tuple[str, ...]
) -> None:
    with pytest.raises(TypeError, match="event type"):
        declare(*event_types)(body)


def test_the_forgotten_parentheses_are_named() -> None:
    with pytest.raises(TypeError, match="event type"):
        outbox.task(lambda order_id: None)  # type: ignore[arg-type]


def test_an_event_type_has_one_task(declare: Declare, confirm: Task[Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"order\.placed.*two tasks.*confirm.*other"):

        @declare("order.paid", "order.placed")
        def other(order_id: int) -> None: ...

    assert registry.get("order.placed") is confirm
    assert registry.find("order.paid") is None, "a refused task is not entered by half"


def test_a_task_name_has_one_body(declare: Declare, confirm: Task[Any]) -> None:
    """Celery would keep the first body of the name and run it for both."""
    with pytest.raises(ImproperlyConfigured, match="confirm"):

        @declare("order.paid", name=confirm.name)
        def other(order_id: int) -> None: ...

    assert registry.find("order.paid") is None


def test_an_async_prepare_function_is_refused(confirm: Task[Any]) -> None:
    async def fill(messages: list[outbox.Message]) -> None: ...

    with pytest.raises(TypeError, match="fill"):
        confirm.prepare(fill)  # type: ignore[arg-type]
    assert confirm.prepare_function is None


# Enqueue


def stored(message: outbox.Message) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message.id)


@pytest.mark.django_db
def test_enqueue_stores_a_message_with_its_arguments_by_name(confirm: Task[Any]) -> None:
    with transaction.atomic():
        message = confirm.enqueue(7, "now", gift=True)

    row = stored(message)
    assert row.payload == {"order_id": 7, "note": "now", "gift": True} == message.payload
    assert (row.event_type, row.task, row.queue) == ("order.placed", confirm.name, "mail")
    assert (row.attempts, row.sends, row.lease_token, row.suspect) == (0, 0, None, False)
    assert (row.received_at, row.due_at) <= (row.ready_at, row.ready_at)


@pytest.mark.django_db
def test_defaults_are_left_to_the_body_that_runs(confirm: Task[Any]) -> None:
    """A default changed by a newer version holds for the messages that are stored already."""
    with transaction.atomic():
        assert stored(confirm.enqueue(order_id=7)).payload == {"order_id": 7}


@pytest.mark.django_db
def test_a_keyword_named_like_the_collecting_parameter_arrives(confirm: Task[Any]) -> None:
    with transaction.atomic():
        message = confirm.enqueue(7, more=1, event_type="x", self=2)
    assert stored(message).payload == {"order_id": 7, "more": 1, "event_type": "x", "self": 2}


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((), {}), ((1, "", 3), {}), ((1,), {"order_id": 1})],
    ids=["missing", "too many", "twice"],
)
@pytest.mark.django_db
def test_wrong_arguments_are_a_type_error(
    confirm: Task[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with transaction.atomic(), pytest.raises(TypeError):
        confirm.enqueue(*arguments, **keywords)
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    "value",
    [
        uuid.uuid4(),
        dt.date(2026, 1, 1),
        {1, 2},
        b"bytes",
        float("nan"),
        float("-inf"),
        {("a", "b"): 1},
        {"deep": [float("nan")]},
        "a \x00 in it",
        {"key \x00": 1},
        "half a character \ud83d",
    ],
    ids=repr,
)
@pytest.mark.django_db
def test_what_json_or_postgresql_cannot_hold_is_refused_by_name(
    confirm: Task[Any], value: object
) -> None:
    with transaction.atomic():
        with pytest.raises(outbox.InvalidPayload, match="confirm"):
            confirm.enqueue(7, gift=value)
        assert not OutboxMessage.objects.exists(), "and the transaction is not broken by it"


@pytest.mark.parametrize(
    "text", ["\\u0000", "\\\\u0000", "\\", "ü€😀", "'; --", "%s %(id)s", '"', "\x1f", "\u2028"]
)
@pytest.mark.django_db
def test_any_other_text_comes_back_as_it_was(confirm: Task[Any], text: str) -> None:
    with transaction.atomic():
        message = confirm.enqueue(7, text, **{text: [text]})
    assert stored(message).payload == {"order_id": 7, "note": text, text: [text]}


@pytest.mark.django_db
def test_what_json_changes_is_changed_in_the_message_at_once(confirm: Task[Any]) -> None:
    """The sender sees what the task will see."""
    with transaction.atomic():
        message = confirm.enqueue(7, pair=(1, 2), counts={1: "one"})
    assert message.payload["pair"] == [1, 2]
    assert stored(message).payload == message.payload


@pytest.mark.django_db
def test_a_task_of_several_event_types_must_be_told_which(declare: Declare) -> None:
    @declare("post.made", "post.changed")
    def index(post_id: int) -> None: ...

    with transaction.atomic():
        with pytest.raises(TypeError, match=r"outbox\.add"):
            index.enqueue(post_id=1)
        message = outbox.add("post.changed", post_id=1)
    row = stored(message)
    assert (row.event_type, row.task, row.payload) == ("post.changed", index.name, {"post_id": 1})


# outbox.add


@pytest.mark.django_db
def test_add_takes_an_event_type_and_a_payload(confirm: Task[Any]) -> None:
    with transaction.atomic():
        message = outbox.add("order.placed", order_id=7, event_type="a key like any other")
    assert stored(message).payload == {"order_id": 7, "event_type": "a key like any other"}


@pytest.mark.parametrize("payload", [{}, {"order_id": 1, "gift": object()}])
@pytest.mark.django_db
def test_add_refuses_a_payload_that_the_task_would_not_take(
    confirm: Task[Any], payload: dict[str, Any]
) -> None:
    with transaction.atomic(), pytest.raises(outbox.InvalidPayload, match="confirm"):
        outbox.add("order.placed", **payload)


def test_add_refuses_an_unknown_event_type_and_names_the_known(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.UnknownEventType, match=r"order\.lost.*order\.placed"):
        outbox.add("order.lost", order_id=1)


# Transactions


@pytest.mark.django_db(transaction=True)
def test_a_message_outside_a_transaction_is_refused(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.NotInTransaction, match=r"transaction\.atomic\(using='default'\)"):
        confirm.enqueue(order_id=7)
    with pytest.raises(outbox.NotInTransaction):
        outbox.add("order.placed", order_id=7)


@pytest.mark.django_db
def test_the_transaction_of_a_test_case_does_not_count(confirm: Task[Any]) -> None:
    """What would fail in production fails in the test, too."""
    assert connections["default"].in_atomic_block
    with pytest.raises(outbox.NotInTransaction) as refusal:
        confirm.enqueue(order_id=7)
    assert "is on" not in str(refusal.value), "the test's own transaction is nobody's mistake"


@pytest.mark.django_db(transaction=True)
def test_a_transaction_on_another_database_does_not_count_and_is_named(
    confirm: Task[Any], settings: Any
) -> None:
    connections.databases["elsewhere"] = connections["default"].settings_dict
    settings.OUTBOX = {**settings.OUTBOX, "DATABASE": "elsewhere"}
    try:
        with (
            transaction.atomic(using="default"),
            pytest.raises(outbox.NotInTransaction, match=r"'elsewhere'\) \(.* on 'default'\)"),
        ):
            confirm.enqueue(order_id=7)
    finally:
        del connections["elsewhere"], connections.databases["elsewhere"]


@pytest.mark.django_db(transaction=True)
def test_a_message_is_rolled_back_with_its_transaction(confirm: Task[Any]) -> None:
    with transaction.atomic():
        assert stored(confirm.enqueue(order_id=7))
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db
def test_a_message_starts_as_ready_or_with_a_prepare_function_as_pending(
    confirm: Task[Any],
) -> None:
    with transaction.atomic():
        ready = stored(confirm.enqueue(order_id=7))

    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> None: ...

    with transaction.atomic():
        pending = stored(confirm.enqueue(order_id=7))
    assert (ready.state, pending.state) == (State.READY, State.PENDING)
    assert ready.ready_at is not None
    assert pending.ready_at is None
    assert "order.placed" in registry.prepared_event_types()


@pytest.mark.django_db(transaction=True)
def test_the_commit_wakes_whoever_takes_the_message_on(
    confirm: Task[Any], listen: Callable[[str], Any], heard: Callable[[Any, float], bool]
) -> None:
    relay, post_processor = listen("outbox_ready"), listen("outbox_pending")
    with transaction.atomic():
        confirm.enqueue(order_id=7)
    assert heard(relay, 5)
    assert not heard(post_processor, 0)


# Calling and sending

SENDING = (
    "delay",
    "apply_async",
    "apply",
    "s",
    "si",
    "signature",
    "subtask",
    "map",
    "starmap",
    "chunks",
    "retry",
)


def test_calling_runs_the_body(confirm: Task[Any]) -> None:
    assert confirm(7, note="now") == "7 now {}"
    assert confirm.__doc__ == "Confirm an order."
    assert repr(confirm) == f"<outbox task {confirm.name}>"


@pytest.mark.parametrize("way", [*SENDING, "delay_on_commit", "apply_async_on_commit"])
def test_every_way_of_celery_to_send_is_refused(confirm: Task[Any], way: str) -> None:
    with pytest.raises(outbox.NotSendable, match="enqueue"):
        getattr(confirm, way)(7)


@pytest.mark.parametrize("way", SENDING)
def test_the_task_that_celery_knows_refuses_as_well(confirm: Task[Any], way: str) -> None:
    arguments: tuple[Any, ...] = ([[7]], 1) if way == "chunks" else ([7],)
    with pytest.raises(outbox.NotSendable, match="enqueue"):
        getattr(celery_task(confirm), way)(*arguments)


def test_the_task_that_celery_knows_runs_only_what_the_relay_has_sent(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.NotSendable, match="relay"):
        celery_task(confirm)(order_id=7)


def test_celery_acknowledges_late_and_keeps_the_options_that_are_its_own(declare: Declare) -> None:
    @declare("order.placed", queue="mail", rate_limit="5/m", time_limit=60, soft_time_limit=50)
    def confirm(order_id: int) -> None: ...

    known = celery_task(confirm)
    assert (known.acks_late, known.reject_on_worker_lost, known.ignore_result) == (
        True,
        False,
        True,
    )
    assert (known.rate_limit, known.time_limit, known.soft_time_limit) == ("5/m", 60, 50)


def test_outside_of_a_task_there_is_no_current_message() -> None:
    with pytest.raises(LookupError):
        outbox.current_message()


# Import and types


def test_the_package_is_imported_without_django() -> None:
    code = (
        "import sys, outbox; outbox.Message; outbox.Permanent; "
        "assert 'django' not in sys.modules and 'celery' not in sys.modules; outbox.task; "
        "from django.apps import apps; assert not apps.ready"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=30)


def test_the_package_lists_its_names_and_refuses_others() -> None:
    for name in outbox.__all__:
        assert getattr(outbox, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'enqeue'"):
        outbox.enqeue  # noqa: B018


SNIPPET = """
from __future__ import annotations
import outbox

@outbox.task("order.placed")
def confirm(order_id: int, *, note: str = "") -> None: ...

confirm.enqueue(1, note="right")
confirm.enqueue(order_id="1")
confirm.enqueue()
confirm.enqueue(order=1)
reveal_type(confirm.enqueue(1))
"""


@pytest.mark.slow
def test_mypy_refuses_wrong_arguments(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(snippet)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    of_the_snippet = [line for line in checked.stdout.splitlines() if "snippet.py" in line]
    errors = [line.split(":")[1] for line in of_the_snippet if ": error: " in line]
    assert errors == ["9", "10", "11"], checked.stdout
    assert 'Revealed type is "outbox.message.Message"' in checked.stdout
