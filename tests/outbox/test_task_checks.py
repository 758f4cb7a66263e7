"""What is wrong with the declared tasks, or with the replica, is found by `manage.py check`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import celery
import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from outbox import registry
from tests.conftest import Declare
from tests.outbox.test_outbox_checks import found

ROOT = Path(__file__).resolve().parents[2]


def body(order_id: int) -> None: ...


@pytest.mark.parametrize(
    ("outbox", "check", "says"),
    [
        ({"REPLICA": "elsewhere"}, "outbox.E009", "default"),
        ({"REPLICA_MODELS": ["app.Pots"]}, "outbox.E010", "app_label.ModelName"),
        ({"REPLICA_MODELS": ["Post"]}, "outbox.E010", "app_label.ModelName"),
    ],
)
def test_a_mistake_about_the_replica_is_named(outbox: Any, check: str, says: str) -> None:
    findings = found(**outbox)
    assert findings.keys() == {check}
    assert says in findings[check].hint


@pytest.mark.parametrize(
    ("setting", "name"),
    [("DATABASE_ROUTERS", "ReplicaRouter"), ("MIDDLEWARE", "ReplicaReadsMiddleware")],
)
def test_a_replica_that_nothing_routes_to_is_found(setting: str, name: str) -> None:
    assert found(REPLICA="default") == {}
    without = [entry for entry in getattr(django_settings, setting) if name not in entry]
    with override_settings(**{setting: without}):
        findings = found(REPLICA="default")
    assert findings.keys() == {"outbox.W004"}
    assert f"outbox.routers.{name}" in findings["outbox.W004"].hint


def test_a_task_that_may_outlast_the_wait_for_its_receipt_is_found(declare: Declare) -> None:
    task = declare("order.placed", time_limit=301)(body)
    findings = found(REDISPATCH_SECONDS=300)
    assert findings.keys() == {"outbox.W001"}
    assert task.name in findings["outbox.W001"].msg
    assert "REDISPATCH_SECONDS" in findings["outbox.W001"].hint
    assert found(REDISPATCH_SECONDS=301) == {}


def test_a_task_with_a_lease_of_its_own_may_take_longer(declare: Declare) -> None:
    declare("order.placed", time_limit=3000, atomic=False)(body)
    assert found(REDISPATCH_SECONDS=300) == {}


@pytest.mark.filterwarnings("ignore:Task name")  # newer releases of Celery say it too
def test_another_task_of_the_same_name_is_found(declare: Declare) -> None:
    # Tasks that come before the application is finalized are entered in no order.
    celery.current_app.finalize(auto=True)
    celery.shared_task(name="shop.confirm")(body)
    try:
        declare("order.placed", name="shop.confirm")(body)
        assert "shop.confirm" in found()["outbox.E008"].msg
    finally:
        celery.current_app.tasks.pop("shop.confirm", None)


def test_a_result_backend_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery.current_app.conf, "result_backend", "rpc://")
    assert "SILENCED_SYSTEM_CHECKS" in found()["outbox.W002"].hint


def test_a_relay_that_would_send_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", {})
    assert found().keys() == {"outbox.W003"}
    assert found(TASKS=["shop."]) == {}


# As a user meets it: a project of one app, and manage.py check.

SETTINGS = """
SECRET_KEY = "a key"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "nowhere"}}
INSTALLED_APPS = ["outbox", "shop"]
OUTBOX = {"REDISPATCH_SECONDS": 30}
"""


def check(folder: Path, tasks: str) -> tuple[int, str]:
    shop = folder / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "tasks.py").write_text(f"import outbox\n\n{tasks}")
    (folder / "shop_settings.py").write_text(SETTINGS)
    ran = subprocess.run(
        [sys.executable, "-m", "django", "check", "--fail-level", "WARNING"],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name != "CELERY_BROKER_URL"},
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        },
        capture_output=True,
        text=True,
        timeout=50,
    )
    return ran.returncode, ran.stderr


def test_the_command_tells_of_a_time_limit(tmp_path: Path) -> None:
    code, told = check(
        tmp_path, '@outbox.task("order.placed", time_limit=60)\ndef confirm(order_id): ...\n'
    )
    assert code == 1
    assert "(outbox.W001) shop.tasks.confirm may run 60 s" in told
    assert "HINT: Make OUTBOX['REDISPATCH_SECONDS'] longer" in told


def test_the_command_tells_of_two_tasks_for_one_event_type(tmp_path: Path) -> None:
    code, told = check(
        tmp_path,
        '@outbox.task("order.placed")\ndef confirm(order_id): ...\n\n'
        '@outbox.task("order.placed")\ndef charge(order_id): ...\n',
    )
    assert code == 1
    assert told.rstrip().rpartition("\n")[2] == (
        "django.core.exceptions.ImproperlyConfigured: Event type 'order.placed' has two tasks: "
        "shop.tasks.confirm and shop.tasks.charge. Give one of them a type of its own; where both "
        "are to run, enqueue both."
    )


def test_the_command_tells_of_an_unknown_option(tmp_path: Path) -> None:
    code, told = check(
        tmp_path, '@outbox.task("order.placed", prioritty=3)\ndef confirm(order_id): ...\n'
    )
    assert code == 1
    last = told.rstrip().rpartition("\n")[2]
    assert last.startswith("TypeError: shop.tasks.confirm has an unknown option prioritty. Known")


def test_the_command_tells_of_a_celery_application_that_nobody_loads(tmp_path: Path) -> None:
    code, told = check(tmp_path, '@outbox.task("order.placed")\ndef confirm(order_id): ...\n')
    assert code == 1
    assert "(outbox.W005) No Celery application is loaded" in told


def test_an_application_that_the_project_has_made_is_seen_in_every_thread(tmp_path: Path) -> None:
    code, told = check(
        tmp_path,
        "import threading\nfrom celery import Celery\n\n"
        # As in `runserver`, whose main thread loads the settings and another one checks them.
        'thread = threading.Thread(target=lambda: globals().update(app=Celery("shop")))\n'
        "thread.start()\nthread.join()\n\n"
        '@outbox.task("order.placed")\ndef confirm(order_id): ...\n',
    )
    assert (code, told.count("outbox.W005")) == (0, 0), told
