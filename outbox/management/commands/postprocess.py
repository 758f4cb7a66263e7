"""`manage.py postprocess`: step 2, from pending to ready."""

from __future__ import annotations

from typing import Any

from outbox import backlog, store
from outbox.management.polling import PollingCommand
from outbox.prepare import Preparer
from outbox.stop import StopSignal


class Command(PollingCommand):
    help = "Prepare pending messages and mark them ready, until SIGTERM or SIGINT."

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = StopSignal()
        preparer = Preparer(batch_size=int(options["batch_size"]), stopping=lambda: stop.requested)
        self.poll(
            preparer.step,
            backlog.unfinished_pending,
            channel=store.PENDING_CHANNEL,
            on_stop=preparer.settle,
            stop=stop,
            **options,
        )
