"""`manage.py postprocess`: step 2, from pending to ready."""

from __future__ import annotations

from typing import Any

from outbox import backlog, store
from outbox.management.polling import PollingCommand
from outbox.prepare import Preparer


class Command(PollingCommand):
    help = "Prepare pending messages and mark them ready, until SIGTERM or SIGINT."

    def handle(self, *_args: Any, **options: Any) -> None:
        preparer = Preparer(batch_size=int(options["batch_size"]))
        self.poll(
            preparer.step,
            backlog.unfinished_pending,
            channel=store.PENDING_CHANNEL,
            on_stop=preparer.settle,
            **options,
        )
