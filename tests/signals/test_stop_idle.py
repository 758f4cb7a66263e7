"""A signal to stop, to each process of the service while it has nothing to do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.signals.one_process import one_process, stop, wait_until_idle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

ON_FILES = os.environ.get("CELERY_BROKER_URL", "").startswith("filesystem")
PATIENCE = 4.0
"""Seconds, of which one would do on a machine that does nothing else."""
# Celery closes a worker that was stopped from the keyboard with 1, whatever became of its tasks.
EXIT_CODES = {("worker", signal.SIGINT): 1}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("name", ["web", "postprocess", "relay", "worker"])
def test_an_idle_process_ends_at_once(
    name: str, number: signal.Signals, transactional_db: None, tmp_path: Path
) -> None:
    with one_process(name, tmp_path) as service:
        wait_until_idle(service, name)
        code, seconds = stop(service.processes[name], number)
        assert code == EXIT_CODES.get((name, number), 0), service.processes[name].log_tail()
        print(f"{name} ended in {seconds:.2f} s")
        # Celery looks up from its polling of files every few seconds only.
        assert seconds < PATIENCE + 6 * (ON_FILES and name == "worker")


@pytest.mark.slow
def test_prefork_ends_at_once_too(transactional_db: None, tmp_path: Path) -> None:
    with one_process("worker", tmp_path, "-P", "prefork", "-c", "2") as service:
        wait_until_idle(service, "worker")
        code, seconds = stop(service.processes["worker"])
        assert code == 0
        print(f"worker with prefork ended in {seconds:.2f} s")
        assert seconds < PATIENCE + 6 * ON_FILES


@pytest.mark.slow
def test_callers_who_keep_their_connections_do_not_hold_up_the_web_process(
    transactional_db: None, tmp_path: Path
) -> None:
    with one_process("web", tmp_path) as service:
        wait_until_idle(service, "web")
        kept = [service.connection() for _ in range(3)]
        for connection in kept[:2]:
            connection.request("GET", "/livez")
            assert connection.getresponse().read()
        kept[2].connect()  # and asks nothing
        code, seconds = stop(service.processes["web"])
        for connection in kept:
            connection.close()
        assert code == 0
        print(f"web with open connections ended in {seconds:.2f} s")
        assert seconds < PATIENCE
