"""What cannot work is refused where it is declared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

import outbox
from outbox import registry
from outbox.declaration import Task
from tests.conftest import Declare


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
