"""What a poller tells its supervisor while things go wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from outbox import systemd
from outbox.poller import Poller
from tests.outbox.steps import CHANNEL, LONG, Steps, run
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.timeout(30)]

Told = Callable[[], list[str]]
WAITING = "STATUS=waiting for the database"


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wants a sign of life every 0.4 s."""
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)


def outages(told: list[str]) -> int:
    return sum(line.startswith(WAITING) for line in told)


@pytest.mark.usefixtures("watchdog")
def test_a_poller_that_waits_for_its_database_is_alive_and_says_so(
    outage: Any, supervisor: Told
) -> None:
    def end_the_outage(fed_before: int) -> None:
        eventually(lambda: supervisor().count("WATCHDOG=1") >= fed_before + 3)
        outage.end()

    def lost() -> bool:
        outage.begin()
        threading.Thread(target=end_the_outage, args=[supervisor().count("WATCHDOG=1")]).start()
        return bool(query("SELECT 1"))

    run(Steps(False, lost, False), interval=0.01)

    told = supervisor()
    assert outages(told) >= 2
    assert systemd.MORE_TIME not in told, "it had started already"


@pytest.mark.usefixtures("watchdog")
def test_a_step_that_hangs_starves_the_watchdog(supervisor: Told) -> None:
    released = threading.Event()
    fed: list[int] = []

    def hangs() -> bool:
        fed.append(supervisor().count("WATCHDOG=1"))
        # Longer than the watchdog's patience: what is tested is that nothing happens meanwhile.
        released.wait(1.0)
        fed.append(supervisor().count("WATCHDOG=1"))
        return False

    run(Steps(False, hangs), interval=0.01)

    assert fed[0] == fed[1] >= 1


def test_a_start_during_an_outage_asks_for_more_time(outage: Any, supervisor: Told) -> None:
    outage.begin()
    poller = Poller("test", Steps(), interval=LONG, channel=CHANNEL)

    def stop() -> None:
        eventually(lambda: supervisor().count(systemd.MORE_TIME) >= 2)
        poller.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    poller.run()
    thread.join()

    told = supervisor()
    assert told.count(systemd.MORE_TIME) == outages(told)
    assert "READY=1" not in told
