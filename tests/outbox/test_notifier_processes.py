"""The notifier where there are more processes or greenlets than one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]

ROOT = Path(__file__).parents[2]
Listen = Callable[[str], Any]
Heard = Callable[[Any, float], bool]

FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import django
django.setup()
from outbox import notifier

notifier.wake("outbox_ready")
sys.stdin.readline()  # the parent's thread has its connection now
child = os.fork()
notifier.wake("outbox_pending" if child == 0 else "outbox_ready")
if child:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
"""

GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent, gevent.socket
from settings.geventpool import wait
wait.install()
import django
django.setup()
from outbox import notifier

from django.db import connection, transaction

def request():
    with transaction.atomic():
        connection.cursor().execute("SELECT 1")
        transaction.on_commit(lambda: notifier.wake("outbox_pending"))
    connection.close()

gevent.joinall([gevent.spawn(request) for _ in range(50)], raise_error=True)
notifier.wake("outbox_ready")
gevent.socket.wait_read(sys.stdin.fileno())
"""


@pytest.mark.parametrize("program", [FORK, GEVENT], ids=["fork", "gevent"])
def test_children_and_greenlets_are_served(
    listen: Listen, heard: Heard, process_environment: dict[str, str], program: str
) -> None:
    pending, ready = listen("outbox_pending"), listen("outbox_ready")
    # The greenlets share a pool, as in the web process.
    environment = {**process_environment, "DATABASE_POOL": "1" if program is GEVENT else ""}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdin=subprocess.PIPE
    ) as process:
        assert heard(ready, 10)
        assert program is FORK or heard(pending, 10)
        process.communicate(b"go on\n", timeout=10)

    assert process.returncode == 0
    if program is FORK:
        # Each process ended at once, and sent what was waiting before it did.
        assert heard(pending, 10)
        assert heard(ready, 10)
