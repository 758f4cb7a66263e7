from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from standardwebhooks.webhooks import Webhook

from deploy.devstack import delivery

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_a_sample_is_signed_as_standard_webhooks_wants_it() -> None:
    parcel = delivery.sample(f"{SECRET} whsec_b2xkIG9uZQ==")

    content = Webhook(SECRET).verify(parcel.body, parcel.headers)

    assert content["type"] == "post.created"
    assert content["data"]["id"] == parcel.source_id
    assert content["data"]["tags"] == list(delivery.TAGS)


def test_each_sample_is_another_post_and_another_delivery() -> None:
    one, other = delivery.sample(SECRET), delivery.sample(SECRET)

    assert one.source_id != other.source_id
    assert one.headers["webhook-id"] != other.headers["webhook-id"]


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_@@@", "whsec_dG9vIHNob3J0", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]
)
def test_a_secret_in_another_form_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="WEBHOOK_SECRETS"):
        delivery.sample(secret)


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = {"path": self.path, "id": self.headers["webhook-id"], "bytes": len(body)}
        self.send_response(202)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture
def base_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_delivery_is_posted_with_its_headers_past_any_proxy(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    parcel = delivery.sample(SECRET)

    answer = delivery.send(base_url, parcel, timeout=5)

    assert answer.status == 202
    assert answer.json() == {
        "path": "/webhooks/posts/",
        "id": parcel.headers["webhook-id"],
        "bytes": len(parcel.body),
    }
    assert answer.seconds > 0


def test_a_web_process_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="refused"):
        delivery.get("http://127.0.0.1:9", "/livez", timeout=1)
