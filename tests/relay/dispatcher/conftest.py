"""A broker that answers as the test says, and a relay that does not wait."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.declaration import Task
from relay import dispatcher, window
from tests.conftest import Declare
from tests.message_factory import TASK
from tests.relay.dispatcher.dispatching import Broker


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def task(declare: Declare) -> Task[Any]:
    """Makes the rows of the factory those of a registered task."""

    @declare("thing.happened", name=TASK, max_attempts=3)
    def happened() -> None: ...

    return happened


@pytest.fixture(autouse=True)
def _registered(task: Task[Any]) -> None:
    """The registry knows the task of the factory's rows."""


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE_SECONDS", 0.02)


@pytest.fixture
def always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window counts before each step, as if a second had passed."""
    monkeypatch.setattr(window, "MEASURE_SECONDS", 0.0)
