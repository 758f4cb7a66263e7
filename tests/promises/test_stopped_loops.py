"""A relay or post-processor that is stopped past its lease changes nothing that another has taken.

The one that is stopped has a short lease, the other a long one. Each case stops it at a point that
a gate in the database, or a silent broker, holds it at; then the other takes the message.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.devstack.process import Process
from tests.factories import event
from tests.gate import CLAIM, FILL, Gate, closed, wait_for_sessions_at
from tests.promises.counted_effects import store_ready
from tests.promises.siblings import (
    at_work,
    freeze,
    sibling,
    wait_for_sessions,
    wake,
    with_options,
)
from tests.service import Service, kill, running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.amqp,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

PATIENCE = 30.0
SHORT = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_PUBLISH_SECONDS": "1"}
IDLE_OPTION = "-c%20idle_in_transaction_session_timeout%3D1s"
ROW = "FROM outbox_message WHERE payload->>'source_id' = %(source)s"


@pytest.fixture
def service(effects: None, tmp_path: Path) -> Iterator[Service]:
    """The service, of which only the web process runs; the rest waits to be started."""
    CLAIM.plant()
    FILL.plant()
    try:
        with running(tmp_path) as service:
            for name in ("postprocess", "relay", "worker"):
                kill(service.processes[name])
            yield service
    finally:
        CLAIM.remove()
        FILL.remove()


Written = Callable[[], list[tuple[Any, ...]]]


def written(source: str) -> Written:
    """A look at a message, live or done: all of it, and the transaction that wrote it last."""
    [[message_id]] = query(f"SELECT id {ROW}", source=source)

    def look() -> list[tuple[Any, ...]]:
        return query(
            "SELECT xmin::text, m::text FROM outbox_message AS m WHERE id = %(id)s"
            " UNION ALL SELECT xmin::text, h::text FROM outbox_history AS h WHERE id = %(id)s"
            " UNION ALL SELECT xmin::text, e::text FROM effect AS e WHERE source_id = %(source)s",
            id=message_id,
            source=source,
        )

    return look


def state(source: str) -> str:
    found = query(f"SELECT state {ROW}", source=source)
    return found[0][0] if found else "gone"


def stop_within(gate: int, process: Process, begin: Callable[[], object]) -> None:
    """Freeze a process at a gate, and let the server end the statement that had it wait there."""
    with closed(gate):
        begin()
        wait_for_sessions_at(gate)
        freeze(process)


def lease_runs_out(source: str) -> None:
    over = f"SELECT 1 {ROW} AND lease_token IS NOT NULL AND due_at < clock_timestamp()"
    eventually(lambda: query(over, source=source), PATIENCE)


def let_the_other_take(service: Service, name: str, source: str, until: str) -> None:
    """Have the service's own process take the message; unless it holds it, it is gone then."""
    other = service.processes[name]
    if until == "held":
        stop_within(CLAIM.key, other, other.start)
        eventually(
            lambda: query(f"SELECT 1 {ROW} AND due_at > clock_timestamp()", source=source), PATIENCE
        )
        return
    if until == "gone":
        service.processes["worker"].start()
    other.start()
    eventually(lambda: state(source) == until, PATIENCE)
    kill(other)


@pytest.mark.parametrize("until", ["held", "dispatched", "gone"])
def test_a_relay_stopped_before_it_sends_changes_nothing_of_what_another_has_taken(
    service: Service, until: str
) -> None:
    first = sibling(service.processes["relay"], "first", **SHORT)
    with at_work(first):
        wait_for_sessions(relay=1)
        stop_within(CLAIM.key, first, lambda: store_ready("post", 1))
        look = written("post1")
        lease_runs_out("post1")
        let_the_other_take(service, "relay", "post1", until)
        before = look()

        wake(first)
        # It does one after the other: what it has marked last, it has sent after the one before.
        store_ready("next", 1)
        eventually(lambda: state("next1") in {"dispatched", "gone"}, PATIENCE)
        if until == "gone":
            worker = service.processes["worker"]
            eventually(lambda: "outbox.task already_done" in worker.output(), PATIENCE)
        assert look() == before
    expect_done(service, ["post1", "next1"])


@pytest.mark.parametrize("until", ["held", "dispatched", "gone"])
def test_a_relay_stopped_as_it_waits_for_the_broker_gives_nothing_back_of_another(
    service: Service, until: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection and says nothing
        silent.settimeout(20)
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}"
        first = sibling(service.processes["relay"], "first", **SHORT, CELERY_BROKER_URL=url)
        with at_work(first):
            wait_for_sessions(relay=1)
            store_ready("post", 1)
            look = written("post1")
            with silent.accept()[0]:
                freeze(first)
                lease_runs_out("post1")
                let_the_other_take(service, "relay", "post1", until)
                before = look()

                wake(first)
                eventually(lambda: "relay.outage" in first.output(), PATIENCE)
                # It gives back what it owes before it claims.
                store_ready("next", 1)
                claimed = f"SELECT 1 {ROW} AND lease_token IS NOT NULL"
                eventually(lambda: query(claimed, source="next1"), PATIENCE)
                assert look() == before
    expect_done(service, ["post1", "next1"])


@pytest.mark.parametrize("until", ["held", "ready"])
@pytest.mark.parametrize("gate", [CLAIM, FILL], ids=["before it prepares", "in its transaction"])
def test_a_stopped_postprocessor_leaves_what_another_has_taken(
    service: Service, gate: Gate, until: str
) -> None:
    given = service.processes["postprocess"]
    # Of the two it is the transaction that must end before another can take what it holds.
    first = sibling(given, "first", **SHORT, **with_options(given.env, IDLE_OPTION))
    with at_work(first):
        wait_for_sessions(postprocess=1)
        stop_within(gate.key, first, lambda: service.deliver(event(source_id="post1")))
        look = written("post1")
        lease_runs_out("post1")
        let_the_other_take(service, "postprocess", "post1", until)
        before = look()

        wake(first)
        service.deliver(event(source_id="next1"))
        eventually(lambda: state("next1") == "ready", PATIENCE)
        assert look() == before
    expect_done(service, ["post1", "next1"])


def test_a_postprocessor_that_lost_its_transaction_gives_back_what_is_still_its_own(
    service: Service,
) -> None:
    given = service.processes["postprocess"]
    first = sibling(given, "first", **with_options(given.env, IDLE_OPTION))
    with at_work(first):
        wait_for_sessions(postprocess=1)
        stop_within(FILL.key, first, lambda: service.deliver(event(source_id="post1")))
        mine = "pg_stat_activity WHERE application_name = 'pillarbox postprocess'"
        eventually(lambda: count(mine) == 0, PATIENCE)
        wake(first)
        eventually(lambda: state("post1") == "ready", PATIENCE)
        assert "outbox.prepare.postponed" in first.output()
        assert "outbox.prepare.failed" not in first.output()
        assert query(f"SELECT last_error {ROW}", source="post1") == [("",)]
    expect_done(service, ["post1"])


def expect_done(service: Service, sources: list[str]) -> None:
    """Let the whole service go on: each is done once, and what was held up as well."""
    for name in ("postprocess", "relay", "worker"):
        wake(service.processes[name])
        if service.processes[name].poll() is not None or not service.processes[name].pid:
            service.processes[name].start()
    eventually(lambda: count("outbox_message") == 0, 60)
    assert query("SELECT source_id, count(*) FROM effect GROUP BY 1 ORDER BY 1") == [
        (source, 1) for source in sorted(sources)
    ]
    assert count("outbox_history") == len(sources)
