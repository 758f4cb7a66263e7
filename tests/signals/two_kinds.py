"""The post-processor with two kinds of messages: `python -m tests.signals.two_kinds postprocess`.

The first kind waits in its preparation, in the database or in Python; the second does not.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import outbox

KINDS = ("slow", "quick")


def prepare(kind: str) -> Callable[[list[outbox.Message]], None]:
    def note(messages: list[outbox.Message]) -> None:
        from outbox import store

        for message in messages:
            store.run("INSERT INTO prepared VALUES (%(id)s)", id=message.id)
        if kind == "slow":
            while os.environ.get("WAIT_IN_PYTHON") and not os.path.exists(
                os.environ["WAIT_IN_PYTHON"]
            ):
                time.sleep(0.01)
            store.run("SELECT pass_gate()")

    return note


def main() -> None:
    # The settings tell by these words which of the processes this is.
    sys.argv[0] = "manage.py"
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    for kind in KINDS:
        task = outbox.task(f"kind.{kind}", name=f"kind.{kind}")(lambda: None)
        task.prepare(prepare(kind))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
