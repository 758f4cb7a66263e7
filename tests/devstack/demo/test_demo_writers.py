from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from deploy.devstack.demo import writers
from deploy.devstack.demo.workload import SHARED, steps
from deploy.devstack.demo.writers import Writers
from tests.waiting import eventually

POSTS = 30
STATUS = {"POST": 201, "PUT": 200, "PATCH": 200, "DELETE": 204}


class Api(ThreadingHTTPServer):
    """Keeps the methods of each post's calls; refuses the bodies that `refused` says."""

    daemon_threads = True
    request_queue_size = 64  # beyond it a connection waits a second for its second try

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.refused: object = None


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "{}")
        post_id = self.path.split("/")[2] or str(uuid4())
        self.server.seen[post_id].append(self.command)
        refused = self.server.refused is not None and content.get("title") == self.server.refused
        self.send_response(500 if refused else STATUS[self.command])
        self.send_header("Webhook-Id", str(uuid4()))
        self.end_headers()
        self.wfile.write(json.dumps({"id": post_id}).encode())

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(writers, "PAUSE", 0.0)
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def written(api: Api) -> Writers:
    with closing(Writers(f"http://127.0.0.1:{api.server_port}", POSTS)) as working:
        working.start()
        eventually(lambda: working.done, 30)
    return working


def test_every_planned_call_is_made_and_each_posts_own_in_their_order(api: Api) -> None:
    done = written(api)

    assert done.failures == []
    assert len(done.calls) == done.planned == sum(len(each) for each in api.seen.values())
    assert len({call.webhook_id for call in done.calls}) == done.planned
    own = [[s.method for s in steps(n) if s.shared is None] for n in range(SHARED, POSTS)]
    assert all(methods in api.seen.values() for methods in own)


def test_a_post_that_cannot_be_stored_is_told_and_holds_up_nobody(api: Api) -> None:
    first = next(iter(steps(0)))
    assert first.document
    api.refused = first.document["title"]

    done = written(api)

    assert any("post 0: ValueError('POST /posts/ answered 500" in each for each in done.failures)
    assert len(done.calls) < done.planned


def test_after_close_no_further_call_is_made(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "PAUSE", 30.0)
    with closing(Writers(f"http://127.0.0.1:{api.server_port}", POSTS)) as working:
        working.start()

    assert working.done
    assert not api.seen
