"""Whatever several processes do with the store, in whatever order: the model says what is left."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.outbox.model.process import Process
from tests.outbox.model.store_machine import StoreMachine
from tests.properties import new_each_time, same_each_time

# Long enough for the search of a smaller example that fails too.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

STEPS = 40


def test_any_order_of_steps_leaves_what_the_model_says(processes: list[Process]) -> None:
    steps = hypothesis_settings(same_each_time(examples=120), stateful_step_count=STEPS)
    run_state_machine_as_test(lambda: StoreMachine(processes), settings=steps)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_other_orders_in_each_run_do_so_too(processes: list[Process]) -> None:
    steps = hypothesis_settings(new_each_time(examples=500), stateful_step_count=2 * STEPS)
    run_state_machine_as_test(lambda: StoreMachine(processes), settings=steps)
