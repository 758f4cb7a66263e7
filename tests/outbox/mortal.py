"""A process that its work kills: `python -m tests.outbox.mortal consume ID SENDS`, or `prepare`.

The task dies in its body, or, if its payload says so, in its preparation; `os._exit` leaves as
`kill -9` does, with nothing written and no connection closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import outbox
from outbox.declaration import Task

ROOT = Path(__file__).resolve().parents[2]
DIED = 9
MAX_ATTEMPTS = 2


def dying(order_id: int, **_more: object) -> None:
    os._exit(DIED)


def dying_leased(order_id: int) -> None:
    os._exit(DIED)


def fill(messages: list[outbox.Message]) -> None:
    if any(message.payload.get("deadly") for message in messages):
        os._exit(DIED)


def declare_all(declare: Any) -> tuple[Task[Any], Task[Any], Task[Any]]:
    """Declare the three tasks, here and in the process that dies alike."""
    # Named: this file is another module in the process that runs it.
    limit = {"max_attempts": MAX_ATTEMPTS}
    body = declare("mortal.body", name="mortal.body", **limit)(dying)
    leased = declare("mortal.leased", name="mortal.leased", atomic=False, time_limit=30, **limit)(
        dying_leased
    )
    prepared = declare("mortal.prepared", max_attempts=MAX_ATTEMPTS, name="mortal.prepared")(dying)
    prepared.prepare(fill)
    return body, leased, prepared


def run(database_url: str, *arguments: str) -> int:
    """Run this file in a process of its own and return its exit code."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "settings.test",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.outbox.mortal", *arguments]
    return subprocess.run(command, env=environment, timeout=30, check=False).returncode


def main(step: str, *arguments: str) -> None:
    import django

    django.setup()
    from outbox import consumer, registry, taking
    from outbox.prepare import Preparer

    declare_all(outbox.task)
    taking.GRACE_SECONDS = 0.05  # here whoever began a try is dead
    if step == "consume":
        event_type, message_id, sends = arguments
        consumer.consume(registry.get(event_type), UUID(message_id), again=int(sends) > 1)
    else:
        preparer = Preparer(batch_size=10)
        while preparer.step():
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
