"""What tests of several packages need."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from celery import _state
from pytest_django import DjangoDbBlocker

from outbox import declaration, registry
from outbox.declaration import Task
from tests.emptying import empty_quickly
from tests.roles.role_database import RoleDatabase, role_database


class Declare(Protocol):
    """`outbox.task` for the time of one test."""

    def __call__(
        self, *event_types: str, **options: Any
    ) -> Callable[[Callable[..., object]], Task[Any]]: ...


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Declares outbox tasks as `outbox.task` does, and takes them out again after the test."""
    declared: list[Task[Any]] = []
    before = set(_state._on_app_finalizers)

    def declare(*event_types: str, **options: Any) -> Callable[[Callable[..., object]], Task[Any]]:
        def decorate(body: Callable[..., object]) -> Task[Any]:
            task = declaration.task(*event_types, **options)(body)
            declared.append(task)
            return task

        return decorate

    yield declare
    for task in declared:
        registry.unregister(task)
        # Celery keeps the first task of a name: the next test's would never be reached. It enters
        # a shared task into each app that is alive, one of an earlier test too,
        for app in _state._get_active_apps():
            app.tasks.pop(task.name, None)
    # and later into each that is made.
    _state._on_app_finalizers.intersection_update(before)


@pytest.fixture
def supervisor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], list[str]]]:
    """Stands for systemd: gives what it was told so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.setblocking(False)
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        told: list[str] = []

        def read() -> list[str]:
            while True:
                try:
                    told.extend(receiver.recv(1000).decode().splitlines())
                except BlockingIOError:
                    return told

        yield read


@pytest.fixture(scope="module")
def roles(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RoleDatabase]:
    """A database under the roles of production, and the folder with their credentials."""
    folder = tmp_path_factory.mktemp("etc")
    with django_db_blocker.unblock(), role_database(folder) as database:
        yield database


@pytest.fixture(scope="session", autouse=True)
def _quickly_emptied() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        empty_quickly(patch)
        yield
