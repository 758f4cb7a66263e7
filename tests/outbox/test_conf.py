"""`settings.OUTBOX` as one typed object."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from outbox.conf import NAMES, OutboxSettings, outbox_settings


def test_without_the_setting_the_defaults_hold(settings: Any) -> None:
    del settings.OUTBOX
    assert outbox_settings() == OutboxSettings()


@override_settings(OUTBOX={"LEASE_SECONDS": 5, "TASKS": ["shop.", "bank."], "REPLICA": None})
def test_what_is_given_replaces_a_default() -> None:
    conf = outbox_settings()
    assert (conf.lease_seconds, conf.tasks) == (5, ("shop.", "bank."))
    assert conf.redispatch_seconds == OutboxSettings().redispatch_seconds


@override_settings(OUTBOX={"LEASE_SECOND": 5})
def test_an_unknown_name_is_left_to_the_system_check() -> None:
    assert outbox_settings() == OutboxSettings()


def test_a_change_of_the_setting_is_seen_at_once(settings: Any) -> None:
    for seconds in (5, 7):
        settings.OUTBOX = {"LEASE_SECONDS": seconds}
        assert outbox_settings().lease_seconds == seconds


def test_the_names_are_those_of_the_setting() -> None:
    assert "MAX_IN_FLIGHT" in NAMES
    assert all(name.isupper() for name in NAMES)


def test_nothing_can_be_changed_by_the_way() -> None:
    with pytest.raises(AttributeError):
        outbox_settings().lease_seconds = 1  # type: ignore[misc]
