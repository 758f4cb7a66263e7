"""A real Celery worker on the test database, with the tasks of a test's own module."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.devstack.application import REPOSITORY
from deploy.devstack.process import Process
from tests.service import database_url


@contextmanager
def celery_worker(
    folder: Path, *, module: str, queues: str, pool: str, concurrency: int = 1, **environment: str
) -> Iterator[Process]:
    """A worker that imports `module`; its log is `worker.log` in the folder."""
    own = {
        "DJANGO_SETTINGS_MODULE": "settings.test",
        "DATABASE_URL": database_url("default"),
        "PYTHONUNBUFFERED": "1",
    }
    celery = (sys.executable, "-m", "celery", "-A", "settings", "worker", "-l", "INFO")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    name = f"{module.rpartition('.')[2]}-{pool}@%h"
    what = ("-I", module, "-Q", queues, "-n", name, "-P", pool, "-c", str(concurrency))
    process = Process(
        "worker",
        (*celery, *quiet, *what),
        log=folder / "worker.log",
        pid_file=folder / "worker.pid",
        env={**os.environ, **own, **environment},
        cwd=REPOSITORY,
    )
    process.start()
    try:
        yield process
    finally:
        process.stop(15)
