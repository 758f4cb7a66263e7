"""A task with a body that fails as often as a test says."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.declaration import Task
from tests.conftest import Declare
from tests.outbox.testing.works import Works


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def confirm(declare: Declare, works: Works) -> Task[Any]:
    @declare("order.placed", max_attempts=3)
    def confirm(order_id: int, note: str = "") -> None:
        works(order_id)

    return confirm
