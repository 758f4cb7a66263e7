"""System checks of what was declared: the tasks, and the replica's part in the project."""

from __future__ import annotations

from typing import Any

import celery
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from outbox import registry
from outbox.celery_task import BoundTask
from outbox.conf import outbox_settings
from outbox.routers import ReplicaReadsMiddleware, ReplicaRouter


@register()
def tasks_are_celerys(**_: Any) -> list[CheckMessage]:
    """Celery runs our task under each name, and no other that took the name first."""
    known = celery.current_app.tasks
    return [
        Error(
            f"Another Celery task has the name {task.name}, and Celery keeps the first.",
            hint="Give the outbox task a name=... of its own, or remove the other: a message would "
            "run the wrong one.",
            obj=task.name,
            id="outbox.E008",
        )
        for task in registry.tasks()
        if not isinstance(known.get(task.name), BoundTask)
    ]


@register()
def celery_is_loaded(**_: Any) -> list[CheckMessage]:
    """The project's Celery application has been made."""
    # Without `set_as_current` it is the one that Celery makes where it finds none.
    app: Any = celery.current_app
    if app.set_as_current:
        return []
    return [
        checks.Warning(
            "No Celery application is loaded: the relay would send to Celery's default broker.",
            hint="Import yours in the project's __init__.py, as Celery's documentation has it: "
            "from .celery import app",
            id="outbox.W005",
        )
    ]


@register()
def something_can_be_sent(**_: Any) -> list[CheckMessage]:
    """There is a task, or a prefix of tasks that live elsewhere."""
    if registry.tasks() or outbox_settings().tasks:
        return []
    return [
        checks.Warning(
            "No outbox task is declared, and OUTBOX['TASKS'] is empty: the relay sends nothing.",
            hint="Declare one with @outbox.task(...) in the tasks.py of an installed app, or list "
            "prefixes of the names of tasks that live elsewhere in OUTBOX['TASKS'].",
            id="outbox.W003",
        )
    ]


@register()
def time_limits_fit(**_: Any) -> list[CheckMessage]:
    """A task is over before its message is sent again."""
    seconds = outbox_settings().redispatch_seconds
    return [
        checks.Warning(
            f"{task.name} may run {task.time_limit} s, and its message is sent again after "
            f"{seconds} s.",
            hint="Make OUTBOX['REDISPATCH_SECONDS'] longer, or time_limit shorter: the copies find "
            "the row locked and run nothing, but keep workers busy. With atomic=False the wait "
            "is the task's own lease.",
            obj=task.name,
            id="outbox.W001",
        )
        for task in registry.tasks()
        if task.atomic and task.time_limit is not None and task.time_limit > seconds
    ]


@register()
def no_result_backend(**_: Any) -> list[CheckMessage]:
    """Results of outbox tasks are never stored."""
    backend = celery.current_app.conf.result_backend
    if not backend or not registry.tasks():
        return []
    return [
        checks.Warning(
            "Celery has a result backend, but outbox tasks store no results there.",
            hint="Write what others need to a row of yours, in the task's transaction. If other "
            "tasks use the backend, add outbox.W002 to SILENCED_SYSTEM_CHECKS.",
            id="outbox.W002",
        )
    ]


@register()
def replica_exists(**_: Any) -> list[CheckMessage]:
    """The replica's alias and its models are there."""
    conf = outbox_settings()
    models: object = conf.replica_models
    labels = models if isinstance(models, tuple) else ()  # a text is outbox.E006
    found: list[CheckMessage] = []
    if conf.replica is not None and conf.replica not in settings.DATABASES:
        found.append(
            Error(
                f"OUTBOX['REPLICA'] is {conf.replica!r}, which is not in DATABASES.",
                hint=f"Name one of: {', '.join(sorted(settings.DATABASES))}, or None.",
                id="outbox.E009",
            )
        )
    found += [
        Error(
            f"OUTBOX['REPLICA_MODELS'] names {label!r}, and there is no such model.",
            hint="Give app_label.ModelName of models of installed apps.",
            id="outbox.E010",
        )
        for label in labels
        if not _is_model(label)
    ]
    return found


@register()
def replica_is_used(**_: Any) -> list[CheckMessage]:
    """Router and middleware are installed where there is a replica."""
    if outbox_settings().replica is None:
        return []
    missing = [
        (setting, wanted)
        for setting, wanted, given in (
            ("DATABASE_ROUTERS", ReplicaRouter, settings.DATABASE_ROUTERS),
            ("MIDDLEWARE", ReplicaReadsMiddleware, settings.MIDDLEWARE),
        )
        if not any(_is_kind_of(entry, wanted) for entry in given)
    ]
    return [
        checks.Warning(
            f"OUTBOX['REPLICA'] is set, but {setting} has no {wanted.__name__}.",
            hint=f"Add 'outbox.routers.{wanted.__name__}' to {setting}: without it "
            + (
                "nothing keeps reads and migrations off the replica."
                if wanted is ReplicaRouter
                else "no request reads the replica."
            ),
            id="outbox.W004",
        )
        for setting, wanted in missing
    ]


def _is_model(label: str) -> bool:
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        return False
    return True


def _is_kind_of(entry: object, wanted: type) -> bool:
    try:
        given = import_string(entry) if isinstance(entry, str) else type(entry)
    except ImportError:
        return False  # Django says so itself
    return isinstance(given, type) and issubclass(given, wanted)
