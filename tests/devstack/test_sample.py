from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from deploy.devstack import sample
from deploy.devstack.send import Patience

STATUS = {
    "message_id": "5e0b",
    "event_type": "post.created",
    "state": "ready",
    "attempts": 3,
    "received_at": "2026-01-01T00:00:00.000000Z",
    "ready_at": "2026-01-01T00:00:00.100000Z",
    "dispatched_at": None,
    "done_at": None,
}


class StandIn(HTTPServer):
    """Answers as the web process would, with what the test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accepts = 202
        self.status: dict[str, Any] = dict(STATUS)

    def stack(self) -> sample.Stack:
        return sample.Stack(
            base_url=f"http://127.0.0.1:{self.server_port}",
            database_url=os.environ["DATABASE_URL"],
            replica_url=None,
            webhook_secrets="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            replica_delay=0,
        )


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(self.server.accepts, {"status_url": "/messages/5e0b/", "title": "no"})

    def do_GET(self) -> None:
        self._answer(200, self.server.status)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture
def web() -> Iterator[StandIn]:
    with StandIn() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("state", "responsible"),
    [("pending", "postprocess"), ("ready", "relay"), ("dispatched", "worker"), ("dead", "worker")],
)
def test_a_sample_that_is_stuck_says_where_and_whose_work_it_waits_for(
    web: StandIn, monkeypatch: pytest.MonkeyPatch, state: str, responsible: str
) -> None:
    monkeypatch.setattr(sample, "DEADLINE", 0.2)
    web.status["state"] = state

    with pytest.raises(sample.Stuck, match=f"state {state}, attempts 3") as stuck:
        sample.travel(web.stack(), Patience())

    assert stuck.value.responsible == responsible


def test_a_sample_that_is_refused_says_with_what(web: StandIn) -> None:
    web.accepts = 401

    with pytest.raises(sample.Stuck, match="answered 401") as stuck:
        sample.travel(web.stack(), Patience())

    assert stuck.value.responsible == "web"


def test_a_web_process_that_does_not_answer_is_named(web: StandIn) -> None:
    stack = web.stack()
    web.server_close()

    with pytest.raises(sample.Stuck, match="no answer") as stuck:
        sample.travel(stack, Patience())

    assert stuck.value.responsible == "web"


def test_the_times_of_the_stages_count_from_the_sending(web: StandIn) -> None:
    web.status |= {"state": "done", "done_at": "2026-01-01T00:00:00.300000Z"}
    web.status["dispatched_at"] = "2026-01-01T00:00:00.200000Z"

    journey = sample.travel(web.stack(), Patience())

    assert journey.ready - journey.received == pytest.approx(0.1)
    assert journey.done - journey.ready == pytest.approx(0.2)
    assert journey.sightings is None
