"""A signal to stop, to each process of the service while it has nothing to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.service import Service, running
from tests.signals.one_process import one_process, stop, wait_until_idle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

ALL = ("web", "postprocess", "relay", "worker")
ON_FILES = os.environ.get("CELERY_BROKER_URL", "").startswith("filesystem")
AT_MOST_SECONDS = 1.0
TRIES = 5
"""A busy machine may make some stops late, and not the best of so many."""
# Celery closes a worker that was stopped from the keyboard with 1, whatever became of its tasks.
EXIT_CODES = {("worker", signal.SIGINT): 1}

Start = Callable[[Path], AbstractContextManager[Service]]


def most(name: str) -> float:
    # Celery looks up from its polling of files every few seconds only.
    return AT_MOST_SECONDS + 6 * (ON_FILES and name == "worker")


def keep_connections(service: Service, until: ExitStack) -> None:
    """Callers who have asked something, and one who has not; all stay."""
    for asks in (True, True, False):
        connection = service.connection()
        until.callback(connection.close)
        connection.connect()
        if asks:
            connection.request("GET", "/livez")
            assert connection.getresponse().read()


def best_stops(
    start: Start, folder: Path, number: signal.Signals, *, most_seconds: float = AT_MOST_SECONDS
) -> dict[str, float]:
    """The seconds of the best stop of each process; no further try once all are quick enough."""
    best: dict[str, float] = {}
    for attempt in range(TRIES):
        place = folder / str(attempt)
        place.mkdir()
        with start(place) as service, ExitStack() as open_:
            for name in service.processes:
                wait_until_idle(service, name)
            if "web" in service.processes:
                keep_connections(service, open_)
            for name, process in service.processes.items():
                code, seconds = stop(process, number)
                print(f"{name} ended in {seconds:.2f} s")
                assert code == EXIT_CODES.get((name, number), 0), process.log_tail()
                best[name] = min(seconds, best.get(name, seconds))
        if all(seconds < max(most(name), most_seconds) for name, seconds in best.items()):
            break
    return best


def assert_quick(best: dict[str, float]) -> None:
    assert {name: seconds for name, seconds in best.items() if seconds >= most(name)} == {}


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)],
    ids=["TERM", "INT"],
)
def test_idle_processes_end_within_a_second_whoever_keeps_connections(
    number: signal.Signals, transactional_db: None, tmp_path: Path
) -> None:
    best = best_stops(lambda folder: running(folder, WEB_CONCURRENCY="1"), tmp_path, number)
    assert sorted(best) == sorted(ALL)
    assert_quick(best)


@pytest.mark.slow
def test_prefork_ends_within_three_seconds(transactional_db: None, tmp_path: Path) -> None:
    def start(folder: Path) -> AbstractContextManager[Service]:
        return one_process("worker", folder, "-P", "prefork", "-c", "2")

    # Each of billiard's children sleeps for a second before it exits.
    best = best_stops(start, tmp_path, signal.SIGTERM, most_seconds=3)
    assert best["worker"] < 3 + 6 * ON_FILES
