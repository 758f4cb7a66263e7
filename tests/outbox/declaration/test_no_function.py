"""A task's body and its prepare function are functions; an object is refused at import."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import pytest

from outbox import registry
from outbox.declaration import Task
from tests.conftest import Declare


class Callable:
    def __call__(self, order_id: int) -> None: ...


class AsyncCallable:
    async def __call__(self, order_id: int) -> None: ...


def confirm_order(order_id: int) -> None: ...


OBJECTS = [Callable(), AsyncCallable(), Callable, partial(confirm_order), 7]
IDS = ["callable", "async callable", "class", "partial", "number"]


@pytest.mark.parametrize("options", [{}, {"name": "confirm"}], ids=str)
@pytest.mark.parametrize("body", OBJECTS, ids=IDS)
def test_an_object_is_no_body(declare: Declare, body: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="is no function: write one with def"):
        declare("order.refunded", **options)(body)
    assert registry.find("order.refunded") is None


@pytest.mark.parametrize("function", OBJECTS, ids=IDS)
def test_an_object_is_no_prepare_function(confirm: Task[Any], function: Any) -> None:
    with pytest.raises(TypeError, match=r"is no function|takes a function"):
        confirm.prepare(function)
    assert confirm.prepare_function is None


@pytest.mark.parametrize("body", [lru_cache(confirm_order), Callable().__call__])
def test_what_has_a_functions_name_is_one(declare: Declare, body: Any) -> None:
    assert declare("order.refunded", name="refund")(body).parameters.parameters.keys() == {
        "order_id"
    }
