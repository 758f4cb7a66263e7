"""A page whose Python is run in this process, block by block, as one module."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Collection
from contextlib import redirect_stdout
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import celery
import pytest
from celery import _state
from django.apps import apps
from django.db import connection

from outbox import chores
from tests.docs.blocks import Block, blocks, prints

NOT_CODE = frozenset({"text", "json", "http"})
IN_A_SHELL = frozenset({"sh"})
THREAD_SECONDS = 20.0


class PythonPage:
    """Runs a page: a file block becomes a file on the path, any other is run where the last ended.

    An app is installed when its `models.py` has been written, and its tables are made. A block in
    `text` right behind a block of Python is what that prints. `module` holds the page's names.
    """

    def __init__(self, page: Path, folder: Path, settings: Any) -> None:
        self.page = page
        self.module = ModuleType(page.stem.replace("-", "_").lower() + "_page")
        self._folder = folder
        self._settings = settings
        self._apps: list[str] = []
        self._tasks = set(celery.current_app.tasks)
        self._finalizers = set(_state._on_app_finalizers)
        self._chores = set(chores._chores)
        sys.path.insert(0, str(folder))
        sys.modules[self.module.__name__] = self.module

    def run(self, *, elsewhere: Collection[str] = ()) -> None:
        """Run every block, but those in languages that run `elsewhere`.

        Raises what a block raises, and AssertionError for another output.
        """
        printed: str | None = None
        for block in blocks(self.page):
            if block.language == "python":
                printed = self._python(block)
            elif block.language in elsewhere:
                printed = None
            elif block.language not in NOT_CODE:
                raise AssertionError(
                    f"{block}: nothing here runs {block.language or 'no language'}"
                )
            elif printed is not None and not block.lead:
                assert prints(block.text, printed), f"{block} is not what was printed:\n{printed}"
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join(THREAD_SECONDS)

    def install(self, block: Block) -> None:
        """Write a block that is a file, and install its app if it is a `models.py`.

        What is added to a file is run there, on the names that the file has already.
        """
        path = self._folder / str(block.path)
        name = str(path.relative_to(self._folder).with_suffix("")).replace("/", ".")
        if block.kind == "addition":
            exec(self._compiled(block), vars(sys.modules[name]))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        invalidate_caches()
        if path.name == "models.py":
            self._apps.append(path.parent.name)
            self._settings.INSTALLED_APPS = [*self._settings.INSTALLED_APPS, path.parent.name]
            with connection.schema_editor() as editor:
                for model in apps.get_app_config(path.parent.name).get_models():
                    editor.create_model(model)
        else:
            import_module(name)

    def forget(self) -> None:
        """Take out of Django, Celery and Python what the page has put there."""
        sys.path.remove(str(self._folder))
        sys.modules.pop(self.module.__name__)
        for name in self._apps:
            apps.all_models.pop(name)
            for module in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[module]
        apps.clear_cache()
        for name in set(chores._chores) - self._chores:
            chores.unregister(name)
        self._forget_tasks()

    def _forget_tasks(self) -> None:
        # Celery enters a shared task into each application that is alive, one of another test too.
        for app in _state._get_active_apps():
            for name in set(app.tasks) - self._tasks:
                app.tasks.pop(name)
        _state._on_app_finalizers.intersection_update(self._finalizers)

    def _python(self, block: Block) -> str | None:
        if block.path is not None:
            self.install(block)
            return None
        if "@shared_task" in block.text:
            self._forget_tasks()  # Celery keeps the first of a name, and a page shows a later one
        with redirect_stdout(io.StringIO()) as printed:
            exec(self._compiled(block), vars(self.module))
        return printed.getvalue()

    def _compiled(self, block: Block) -> CodeType:
        # As many lines before it as on the page, so that a traceback tells the page's own.
        return compile("\n" * block.line + block.text, str(self.page), "exec", dont_inherit=True)


def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Celery run a task where it is sent: what pages show of Celery itself needs no broker."""
    monkeypatch.setitem(celery.current_app.conf, "task_always_eager", True)
    monkeypatch.setitem(celery.current_app.conf, "task_eager_propagates", True)
