"""Fixtures for pytest, found by itself where this package is installed. They need pytest-django.

Nothing of Django is imported before a test asks for a fixture: pytest loads this module in every
project, in those without Django too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from outbox.message import Message


@pytest.fixture
def drain_outbox(db: None) -> Callable[[], int]:  # noqa: ARG001 - lets the test use the database
    """Prepares and runs, here and now, all that is enqueued: `outbox.testing.drain`."""
    from outbox.testing import drain  # imports models

    return drain


@pytest.fixture
def outbox_messages(db: None) -> Callable[..., list[Message]]:  # noqa: ARG001 - as above
    """Lists the messages that wait, of a task or of all: `outbox.testing.enqueued`."""
    from outbox.testing import enqueued  # imports models

    return enqueued
