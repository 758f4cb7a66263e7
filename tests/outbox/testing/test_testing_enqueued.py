"""What waits in the outbox, as a project's own tests ask for it: functions, methods, fixtures.

The fixtures at work are shown by the page on testing, which is done as written.
"""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from outbox.declaration import Task
from outbox.states import State
from outbox.testing import OutboxTestMixin, assert_enqueued, assert_not_enqueued, drain, enqueued
from tests.conftest import Declare
from tests.message_factory import MessageFactory

REPOSITORY = Path(__file__).resolve().parents[3]

database = pytest.mark.django_db


@pytest.fixture
def confirm(declare: Declare) -> Task[Any]:
    @declare("order.placed", name="shop.confirm")
    def confirm(order_id: int, articles: list[str] | None = None) -> None: ...

    return confirm


@pytest.fixture
def thank(declare: Declare) -> Task[Any]:
    @declare("order.paid", name="shop.thank")
    def thank(**anything: Any) -> None: ...

    return thank


def enqueue(task: Task[Any], **payload: Any) -> Any:
    with transaction.atomic():
        return task.enqueue(**payload).id


@database
def test_the_messages_of_a_task_are_listed_oldest_first(
    confirm: Task[Any], thank: Task[Any]
) -> None:
    first = enqueue(confirm, order_id=1)
    other = enqueue(thank, order_id=1)
    second = enqueue(confirm, order_id=2, articles=["tea"])

    assert [message.id for message in enqueued(confirm)] == [first, second]
    assert [message.id for message in enqueued()] == [first, other, second]
    assert [message.id for message in enqueued(confirm, articles=["tea"])] == [second]
    assert [message.id for message in enqueued(None, order_id=1)] == [first, other]
    assert enqueued(confirm, order_id=1, articles=["tea"]) == []


@database
def test_the_dead_and_the_done_are_not_listed(confirm: Task[Any]) -> None:
    enqueue(confirm, order_id=1)
    drain()
    MessageFactory.create(task=confirm.name, payload={"order_id": 2}, state=State.DEAD)

    assert enqueued() == []
    assert_not_enqueued(confirm)


@database
def test_what_is_enqueued_against_the_will_of_a_test_is_listed(
    confirm: Task[Any], thank: Task[Any]
) -> None:
    enqueue(confirm, order_id=1)
    enqueue(confirm, order_id=2)
    enqueue(thank, order_id=2)

    assert_not_enqueued(confirm, order_id=3)
    with pytest.raises(AssertionError) as failure:
        assert_not_enqueued(confirm, order_id=2)
    assert str(failure.value).splitlines() == [
        "shop.confirm(order_id=2) is enqueued:",
        "  shop.confirm(order_id=2): ready",
    ]


@pytest.mark.parametrize("ask", [enqueued, assert_enqueued, assert_not_enqueued])
@database
def test_an_argument_that_the_task_does_not_take_is_an_error(
    ask: Any, confirm: Task[Any], thank: Task[Any]
) -> None:
    with pytest.raises(TypeError, match=r"^shop\.confirm: .*'oder_id'"):
        ask(confirm, oder_id=1)
    assert enqueued(thank, whatever=1) == []


@pytest.mark.parametrize("base", [TestCase, TransactionTestCase])
@pytest.mark.django_db(transaction=True)
def test_the_mixin_has_the_helpers_as_methods(
    base: type[TransactionTestCase], confirm: Task[Any], thank: Task[Any]
) -> None:
    class OrderTest(OutboxTestMixin, base):  # type: ignore[misc, valid-type]
        def test_right(self) -> None:
            enqueue(confirm, order_id=1)
            assert self.assertEnqueued(confirm, order_id=1).payload == {"order_id": 1}
            self.assertNotEnqueued(thank)
            assert self.drain() == 1
            self.assertNotEnqueued(confirm)
            assert connection.in_atomic_block is (base is TestCase)

        def test_wrong(self) -> None:
            self.assertEnqueued(confirm)

    assert [error for _, error in run(OrderTest("test_right")).failures] == []
    [(_, error)] = run(OrderTest("test_wrong")).failures
    assert "AssertionError: shop.confirm() is not enqueued." in error


def run(case: unittest.TestCase) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.TestSuite([case]).run(result)
    assert (result.testsRun, result.errors) == (1, [])
    return result


def test_the_plugin_imports_nothing_of_django_in_a_project_without_it(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n"
        "def test_plain(request):\n"
        "    assert request.config.pluginmanager.hasplugin('outbox.pytest_plugin')\n"
        "    assert not {'django', 'celery'} & sys.modules.keys()\n"
    )
    options = ["-p", "no:django", "-p", "no:randomly", "-p", "no:timeout"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "outbox.pytest_plugin", *options, "."],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert "1 passed" in result.stdout, result.stdout + result.stderr
