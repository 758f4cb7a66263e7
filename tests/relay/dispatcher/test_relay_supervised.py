"""What a relay tells its supervisor while its broker is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from outbox import store
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.poller import Poller
from relay.dispatcher import Dispatcher
from relay.publisher import Publisher
from tests.message_factory import MessageFactory
from tests.relay.conftest import new_app
from tests.service import free_port
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

AWAY = "STATUS=the broker is away"


@pytest.fixture
def _watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wants a sign of life every 0.4 s."""
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)


@pytest.mark.usefixtures("_watchdog")
def test_a_relay_that_waits_for_its_broker_is_alive_and_says_so(
    supervisor: Callable[[], list[str]], task: Task[Any]
) -> None:
    message = MessageFactory()
    app = new_app(f"amqp://127.0.0.1:{free_port()}")  # where nobody listens
    publisher = Publisher(app, deadline=2)
    relay = Dispatcher(publisher, batch_size=10)
    poller = Poller(
        "relay", relay.step, interval=1, channel=store.READY_CHANNEL, on_stop=relay.settle
    )

    def after_the_outage_was_told() -> list[str]:
        told = supervisor()
        return next((told[at:] for at, line in enumerate(told) if line.startswith(AWAY)), [])

    def stop_once_it_was_fed() -> None:
        try:
            eventually(lambda: after_the_outage_was_told().count("WATCHDOG=1") >= 3, 30)
        finally:
            poller.stop()

    thread = threading.Thread(target=stop_once_it_was_fed)
    thread.start()
    poller.run()
    thread.join()
    publisher.close()
    app.close()

    assert after_the_outage_was_told().count("WATCHDOG=1") >= 3
    assert "READY=1" in supervisor()
    row = OutboxMessage.objects.get(pk=message.pk)
    assert (row.state, row.attempts, row.lease_token) == ("ready", 0, None)
