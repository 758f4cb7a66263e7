"""`manage.py relay`: step 3, from ready to dispatched."""

from __future__ import annotations

from typing import Any

import celery

from outbox import backlog, store
from outbox.conf import outbox_settings
from outbox.management.polling import PollingCommand
from outbox.stop import StopSignal
from relay.dispatcher import Dispatcher
from relay.publisher import Publisher


class Command(PollingCommand):
    help = "Send ready messages to the broker as Celery tasks, until SIGTERM or SIGINT."
    batch_size = 1000

    def handle(self, *_args: Any, **options: Any) -> None:
        publisher = Publisher(celery.current_app, deadline=outbox_settings().publish_seconds)
        stop = StopSignal()
        dispatcher = Dispatcher(
            publisher,
            batch_size=int(options["batch_size"]),
            stopping=lambda: stop.requested,
        )
        try:
            self.poll(
                dispatcher.advance,
                backlog.unfinished_to_send,
                channel=store.READY_CHANNEL,
                on_stop=dispatcher.settle,
                on_quiet=dispatcher.settle,
                stop=stop,
                **options,
            )
        finally:
            publisher.close()
