"""A declared task."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.declaration import Task
from tests.conftest import Declare


@pytest.fixture
def confirm(declare: Declare) -> Task[Any]:
    """A task with an argument that must be given, one that may, and any others."""

    @declare("order.placed", queue="mail")
    def confirm(order_id: int, note: str = "", **more: object) -> str:
        """Confirm an order."""
        return f"{order_id} {note} {more}"

    return confirm
