"""What of Celery cannot work is refused where it is written, with what to do instead."""

from __future__ import annotations

from typing import Any

import celery
import pytest
from celery.contrib.django.task import DjangoTask
from django.db import transaction

import outbox
from outbox.declaration import Task
from outbox.refusals import CALLS, OPTIONS, RESULT_NAMES
from tests.conftest import Declare
from tests.outbox.declaration.declared import celery_task


def body(order_id: int) -> None: ...


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_an_option_that_cannot_work_is_refused_with_what_to_do(
    declare: Declare, option: str
) -> None:
    with pytest.raises(TypeError) as refusal:
        declare("order.placed", **{option: 1})(body)
    text = str(refusal.value)
    assert text.startswith(f"{body.__module__}.body cannot have {option}: ")
    assert OPTIONS[option] in text


@pytest.mark.parametrize("way", sorted(CALLS))
def test_a_call_that_cannot_work_is_refused_with_what_to_do(confirm: Task[Any], way: str) -> None:
    advice = CALLS[way].format(task="confirm")
    with pytest.raises(outbox.NotSendable) as refusal:
        getattr(confirm, way)(7)
    assert (
        str(refusal.value) == f"{confirm.name} is an outbox task, and {way} cannot work: {advice}."
    )


@pytest.mark.parametrize("way", sorted(CALLS.keys() - {"retry"}))
def test_the_task_that_celery_has_refuses_the_same(confirm: Task[Any], way: str) -> None:
    with pytest.raises(outbox.NotSendable, match=way):
        getattr(celery_task(confirm), way)(7)


def test_canvas_of_outbox_tasks_is_refused(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.NotSendable, match="stands alone"):
        celery.chain(confirm.s(1), confirm.s(2))  # type: ignore[attr-defined]
    with pytest.raises(outbox.NotSendable, match="stands alone"):
        confirm | confirm  # type: ignore[operator]


@pytest.mark.parametrize("option", ["prioritty", "queues", "my_option"])
def test_an_unknown_option_is_named_with_its_task(declare: Declare, option: str) -> None:
    with pytest.raises(TypeError, match=rf"\.body has an unknown option {option}.*max_attempts"):
        declare("order.placed", **{option: 1})(body)


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 10},
        {"priority": -1},
        {"priority": True},
        {"priority": "high"},
        {"max_attempts": 2.5},
        {"time_limit": 0},
        {"time_limit": float("inf")},
        {"soft_time_limit": -1},
        {"soft_time_limit": 60, "time_limit": 60},
        {"backoff": 5},
        {"backoff": outbox.Backoff},
        {"base": "celery.Task"},
        {"base": object},
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    declare: Declare, options: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=next(iter(options))) as refusal:
        declare("order.placed", **options)(body)
    assert "body" in str(refusal.value)


@pytest.mark.parametrize(("base", "cap"), [(0, 1), (-1, 1), (2, 1), (1, 10**9), (1, float("nan"))])
def test_a_backoff_has_bounds_that_make_sense(base: float, cap: float) -> None:
    with pytest.raises(ValueError, match="base"):
        outbox.Backoff(base=base, cap=cap)


@pytest.mark.parametrize("argument", ["countdown", "eta", "expires", "link", "queue", "priority"])
@pytest.mark.django_db
def test_an_argument_of_apply_async_is_explained(declare: Declare, argument: str) -> None:
    task = declare("order.placed")(body)
    with (
        transaction.atomic(),
        pytest.raises(TypeError, match=rf"body: .*{argument}.* {argument}: "),
    ):
        task.enqueue(order_id=1, **{argument: 5})


@pytest.mark.django_db
def test_an_argument_of_that_name_is_the_tasks_own_if_it_takes_it(declare: Declare) -> None:
    @declare("order.placed")
    def confirm(countdown: int, **more: Any) -> None: ...

    with transaction.atomic():
        assert confirm.enqueue(countdown=5, eta=1).payload == {"countdown": 5, "eta": 1}


@pytest.mark.parametrize("name", sorted(RESULT_NAMES))
def test_a_message_is_no_result(name: str) -> None:
    message = outbox.Message(None, "order.placed", "task", "celery")  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match=f"no '{name}': a message is no result"):
        getattr(message, name)
    assert not hasattr(message, "anything_else")


class Sends(celery.Task):  # type: ignore[type-arg]
    def apply_async(self, *args: Any, **kwargs: Any) -> Any: ...


class Wraps(celery.Task):  # type: ignore[type-arg]
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class Retries(celery.Task):  # type: ignore[type-arg]
    autoretry_for = (OSError,)


@pytest.mark.parametrize(
    ("base", "names"),
    [(Sends, "Sends overrides apply_async"), (Wraps, "__call__"), (Retries, "autoretry_for")],
)
def test_a_base_class_that_would_be_passed_over_is_refused(
    declare: Declare, base: Any, names: str
) -> None:
    with pytest.raises(TypeError, match=names):
        declare("order.placed", base=base)(body)


@pytest.mark.parametrize("base", [celery.Task, DjangoTask, celery.current_app.Task])
def test_a_base_class_of_celerys_own_is_taken(declare: Declare, base: Any) -> None:
    task = declare("order.placed", base=base)(body)
    with pytest.raises(outbox.NotSendable, match="enqueue"):
        celery_task(task).delay_on_commit(1)


def test_two_prepare_functions_are_refused(confirm: Task[Any]) -> None:
    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> None: ...

    with pytest.raises(TypeError, match=r"confirm has two prepare functions, .*fill and .*other"):

        @confirm.prepare
        def other(messages: list[outbox.Message]) -> None: ...

    assert confirm.prepare_function is fill
    assert confirm.prepare(fill) is fill, "the same again, as a module that is loaded twice does"


def test_a_prepare_function_takes_the_messages(declare: Declare, confirm: Task[Any]) -> None:
    with pytest.raises(TypeError, match="one argument"):

        @confirm.prepare  # type: ignore[type-var]
        def fill() -> None: ...

    other = declare("order.paid")(body)
    with pytest.raises(TypeError, match="takes a function"):
        confirm.prepare(other)  # type: ignore[type-var]
    assert confirm.prepare_function is None


@pytest.mark.parametrize("bound", [lambda: None, lambda *, order_id: None])
def test_a_bound_body_has_an_argument_for_its_task(declare: Declare, bound: Any) -> None:
    with pytest.raises(TypeError, match="first argument"):
        declare("order.placed", bind=True)(bound)
