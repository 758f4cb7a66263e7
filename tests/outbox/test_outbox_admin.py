"""The outbox in the admin, where a person looks for what is dead."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.states import State
from tests.message_factory import MessageFactory

pytestmark = pytest.mark.django_db


def test_the_filter_of_the_list_finds_the_dead_with_their_errors(admin_client: Any) -> None:
    dead = MessageFactory(state=State.DEAD, last_error="Traceback\nKeyError: 'unicorn'\n")
    waiting = MessageFactory()
    page = admin_client.get("/admin/outbox/outboxmessage/?state__exact=dead").content.decode()
    assert str(dead.pk) in page
    assert "KeyError: &#x27;unicorn&#x27;" in page
    assert str(waiting.pk) not in page
