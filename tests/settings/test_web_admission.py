"""The real web process in front of a backlog that grows, and metrics that tell of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app.signature import decode_secret, fingerprint
from settings.metrics_folder import PLACE, PREFIX
from tests.service import Service, free_port
from tests.settings.full_web import (
    CLOSED,
    LIMIT,
    WORKERS,
    Web,
    all_have_sampled,
    fill,
    new,
    statuses,
    tells,
    unsigned,
)
from tests.signals.one_process import one_process, stop, wait_until_idle
from tests.sql import query
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("_emptied")

DELIVERIES = "pillarbox_webhook_deliveries_total"
REFUSED = "pillarbox_webhook_refused_signatures_total"


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    port = free_port()
    own = {
        "WEB_CONCURRENCY": str(WORKERS),
        "WEB_METRICS_PORT": str(port),
        "WEBHOOK_MAX_BACKLOG": str(LIMIT),
    }
    with one_process("web", tmp_path_factory.mktemp("web"), **own) as service:
        wait_until_idle(service, "web")
        yield Web(service.port, service.secret, service.processes, port)


@pytest.fixture
def _emptied(transactional_db: None, web: Web) -> None:
    query("DELETE FROM outbox_message")
    # Always: a test may have deleted them itself, and a worker still go by a sample from before.
    all_have_sampled()
    eventually(lambda: tells(web, 0, closed=False), 20)


def test_it_closes_at_the_limit_and_opens_at_four_fifths(web: Web) -> None:
    # More than both workers could take, however the connections fall to them.
    found = statuses(web, 3 * LIMIT)
    assert found.keys() == {202, 503}
    # A worker does not know what the other one has stored since the last sample.
    assert LIMIT * 0.8 <= found[202] <= WORKERS * LIMIT
    fill(LIMIT)
    all_have_sampled()
    eventually(lambda: {unsigned(web).status for _ in range(10)} == {503}, 20)
    # At 17 of 20 each stays closed that was.
    query(
        f"DELETE FROM outbox_message WHERE id IN (SELECT id FROM outbox_message LIMIT {LIMIT - 17})"
    )
    all_have_sampled()
    eventually(lambda: tells(web, 17, closed=True), 20)
    for _ in range(10):
        refused = unsigned(web)
        assert refused.status == 503
        assert 30 <= int(refused.headers["retry-after"]) <= 60
        assert refused.body["type"] == "urn:problem-type:pillarbox:overloaded"
    query("DELETE FROM outbox_message WHERE id = (SELECT id FROM outbox_message LIMIT 1)")
    all_have_sampled()
    eventually(lambda: tells(web, 16, closed=False), 20)
    assert new(web).status == 202


def test_readyz_says_so(web: Web) -> None:
    assert web.ask("GET", "/readyz").body["checks"]["admission"] == "ok"
    fill(LIMIT)
    all_have_sampled()
    eventually(lambda: web.scrape()[CLOSED, "backlog"], 20)
    answer = eventually(lambda: (found := web.ask("GET", "/readyz")).status == 503 and found, 20)
    assert answer.body["checks"] == {"database": "ok", "migrations": "ok", "admission": "backlog"}
    assert web.ask("GET", "/livez").status == 200
    query("DELETE FROM outbox_message")
    eventually(lambda: web.ask("GET", "/readyz").status == 200, 20)


def test_the_page_has_the_sums_of_all_workers(web: Web) -> None:
    before = web.scrape()
    body = b'{"type":"post.deleted","timestamp":"2026-03-01T12:00:00Z","data":{"id":"1"}}'
    for _ in range(5):
        headers = web.signed(body, uuid.uuid4().hex)
        assert web.ask("POST", "/webhooks/posts/", body, **headers).status == 202
        assert web.ask("POST", "/webhooks/posts/", body, **headers).status == 202
        for wrong in (
            {"webhook-signature": "v1,AAAA"},
            {"webhook-id": ""},
            {"webhook-timestamp": "1"},
            {"webhook-timestamp": "99999999999"},
        ):
            answer = web.ask("POST", "/webhooks/posts/", body, **(headers | wrong))
            assert answer.status == 401
        assert web.ask("POST", "/webhooks/posts/", body + b" ", **headers).status == 401
    bad = web.signed(b"{", "bad")
    assert web.ask("POST", "/webhooks/posts/", b"{", **bad).status == 400
    assert web.ask("GET", "/webhooks/posts/").status == 405
    after = web.scrape()
    key = fingerprint(decode_secret(web.secret))
    assert {name: after[name] - before.get(name, 0) for name in after if name[0] == DELIVERIES} == {
        **dict.fromkeys([name for name in before if name[0] == DELIVERIES], 0),
        (DELIVERIES, "accepted"): 5,
        (DELIVERIES, "duplicate"): 5,
        (DELIVERIES, "unauthorized"): 25,
        (DELIVERIES, "malformed_body"): 1,
        (DELIVERIES, "method_not_allowed"): 1,
    }
    assert {name: after[name] - before[name] for name in after if name[0] == REFUSED} == {
        (REFUSED, "no_key_matches"): 10,
        (REFUSED, "malformed_header"): 5,
        (REFUSED, "stale"): 5,
        (REFUSED, "future"): 5,
    }
    accepted = "pillarbox_webhook_key_accepted_total", key
    assert after[accepted] - before[accepted] == 10
    assert after["pillarbox_webhook_key_last_used_timestamp_seconds", key] > 1_700_000_000
    stored = "pillarbox_webhook_store_seconds_count", ""
    assert after[stored] - before.get(stored, 0) == 10


def children(web: Service) -> list[int]:
    process = web.processes["web"]
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def test_what_a_worker_has_counted_outlives_it(web: Web) -> None:
    assert new(web).status == 202
    before = web.scrape()[DELIVERIES, "accepted"]
    [folder] = folders(web)
    dead = children(web)
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(children(web)) - set(dead)) == WORKERS, 20)
    wait_until_idle(web, "web")
    assert web.scrape()[DELIVERIES, "accepted"] == before
    assert not [path for pid in dead for path in folder.glob(f"gauge_live*_{pid}.db")]


def folders(web: Service) -> list[Path]:
    """The folders that hold what a process has counted."""
    own = {str(pid) for pid in children(web)}
    everywhere = PLACE.glob(f"{PREFIX}*")
    return [
        each for each in everywhere if own & {path.stem.split("_")[-1] for path in each.iterdir()}
    ]


def test_the_metrics_are_not_on_the_public_port(web: Web) -> None:
    assert web.ask("GET", "/metrics").status == 404


def test_the_page_is_at_its_address_alone(web: Web) -> None:
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://127.0.0.1:{web.metrics_port}/", timeout=10)


def test_what_may_be_counted_is_there_from_the_start(web: Web) -> None:
    outcomes = {label for name, label in web.scrape() if name == DELIVERIES}
    assert outcomes >= {"accepted", "duplicate", "overloaded", "database_away", "server_fault"}


def test_workers_start_again_when_their_folder_is_gone(web: Web) -> None:
    [folder] = folders(web)
    shutil.rmtree(folder)
    before = children(web)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(children(web)) - set(before)) == WORKERS, 20)
    wait_until_idle(web, "web")
    assert new(web).status == 202
    assert web.scrape()[DELIVERIES, "accepted"] == 1
    assert folder.is_dir()


@pytest.mark.slow
def test_a_scraper_that_says_nothing_is_cut_off(web: Web) -> None:
    with ExitStack() as connections:
        address = ("127.0.0.1", web.metrics_port)
        silent = [
            connections.enter_context(socket.create_connection(address, timeout=20))
            for _ in range(200)
        ]
        for each in silent:
            each.sendall(b"GET /met")
        began = time.monotonic()
        assert web.scrape()
        assert time.monotonic() - began < 8  # within the ten seconds that Prometheus waits
        assert [each.recv(100) for each in silent] == [b""] * len(silent)


@pytest.mark.slow
def test_a_port_that_is_taken_stops_the_start(tmp_path: Path, db: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = {"WEB_METRICS_PORT": str(other.getsockname()[1])}
        with one_process("web", tmp_path, **taken) as service:
            process = service.processes["web"]
            assert process.wait(30) == 1
            assert "WEB_METRICS_PORT cannot be used: Address already in use" in process.output()


@pytest.mark.slow
def test_its_folder_goes_with_the_server_and_those_that_were_left_too(
    tmp_path: Path, web: Web
) -> None:
    left = PLACE / f"{PREFIX}left-by-a-test"
    left.mkdir()
    [others] = folders(web)
    own = {"WEB_METRICS_PORT": str(free_port()), "WEB_CONCURRENCY": "1"}
    with one_process("web", tmp_path, **own) as service:
        wait_until_idle(service, "web")
        assert not left.exists()
        assert others.exists()
        [folder] = folders(service)
        code, _ = stop(service.processes["web"])
    assert code == 0
    assert not folder.exists()
