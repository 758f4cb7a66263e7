"""The machine can fail: it notices each of many ways in which the store might be broken."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, OperationalError
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from outbox.exceptions import LeaseLost
from tests.outbox.model.process import Process
from tests.outbox.model.sabotages import SABOTAGES, Sabotage
from tests.outbox.model.store_machine import StoreMachine
from tests.properties import same_each_time

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_it_notices(
    sabotage: Sabotage, processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage.commit(monkeypatch)
    # It is enough that it fails: how little it takes is for who has to mend it.
    steps = hypothesis_settings(
        same_each_time(examples=600), phases=[Phase.generate], report_multiple_bugs=False
    )
    with pytest.raises((AssertionError, LeaseLost, IntegrityError, OperationalError)):
        run_state_machine_as_test(lambda: StoreMachine(processes), settings=steps)
