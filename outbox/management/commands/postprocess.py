"""`manage.py postprocess`: step 2, from pending to ready."""

from __future__ import annotations

from typing import Any

from outbox import backlog, store
from outbox.management.polling import PollingCommand
from outbox.prepare import Preparer
from outbox.side_by_side import SideBySide
from outbox.stop import StopSignal


class Command(PollingCommand):
    help = "Prepare pending messages and mark them ready, until SIGTERM or SIGINT."

    # What is claimed at once is written at once, and the more the less each costs.
    batch_size = 1000

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = StopSignal()

        def preparer() -> Preparer:
            size = int(options["batch_size"])
            return Preparer(batch_size=size, stopping=lambda: stop.requested, growing=True)

        both = SideBySide(preparer(), preparer())
        self.poll(
            both.advance,
            backlog.unfinished_pending,
            channel=store.PENDING_CHANNEL,
            on_stop=both.close,
            stop=stop,
            **options,
        )
