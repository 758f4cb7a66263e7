"""Two tasks that are prepared."""

from __future__ import annotations

from typing import Any

import pytest

import outbox
from outbox.declaration import Task
from tests.conftest import Declare
from tests.outbox.prepare.preparing import Filling


@pytest.fixture
def filling() -> Filling:
    return Filling()


@pytest.fixture
def task(declare: Declare, filling: Filling) -> Task[Any]:
    @declare("order.placed", max_attempts=3)
    def confirm(order_id: int) -> None: ...

    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> Any:
        return filling(messages)

    return confirm


@pytest.fixture
def other(declare: Declare) -> Task[Any]:
    """A second task, whose prepare function the test gives it."""

    @declare("order.paid", max_attempts=3)
    def thank(order_id: int) -> None: ...

    return thank
