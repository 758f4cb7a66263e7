"""A task in a transaction and one without, with a body that does what the test says."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.declaration import Task
from tests.conftest import Declare
from tests.outbox.consumer.consuming import Body


@pytest.fixture
def body() -> Body:
    return Body()


@pytest.fixture
def task(declare: Declare, body: Body) -> Task[Any]:
    @declare("order.placed", max_attempts=3)
    def confirm(order_id: int) -> Any:
        return body(order_id)

    return confirm


@pytest.fixture
def leased(declare: Declare, body: Body) -> Task[Any]:
    """A task that runs without a transaction."""

    @declare("order.charge", max_attempts=3, atomic=False, time_limit=50)
    def charge(order_id: int) -> Any:
        return body(order_id)

    return charge
