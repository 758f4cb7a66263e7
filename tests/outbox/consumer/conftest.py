"""Tasks of each kind, with a body that does what the test says."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.declaration import Task
from tests.conftest import Declare
from tests.outbox.consumer.bound import Noted
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


@pytest.fixture(params=[True, False], ids=["atomic", "leased"])
def bound(declare: Declare, body: Body, request: pytest.FixtureRequest) -> Task[Any]:
    """A bound task that keeps its `self` in the body's `it`."""

    @declare(
        "order.bound", bind=True, base=Noted, max_attempts=2, atomic=request.param, time_limit=50
    )
    def bound(self: Any, order_id: int) -> Any:
        body.it = self  # type: ignore[attr-defined]
        return body(order_id)

    return bound
