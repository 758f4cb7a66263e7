"""Many deliveries at once, from several senders that each keep their connection."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

from tests.factories import event
from tests.service import Service, send

SENDERS = 8


def send_burst(service: Service, number: int) -> list[int]:
    """Send so many deliveries as fast as they are answered; the statuses of the answers."""

    def send_share(first: int) -> list[int]:
        http = service.connection()
        try:
            return [_send_one(service, http, index) for index in range(first, number, SENDERS)]
        finally:
            http.close()

    with ThreadPoolExecutor(SENDERS) as pool:
        shares = list(pool.map(send_share, range(SENDERS)))
    return [status for share in shares for status in share]


def _send_one(service: Service, http: HTTPConnection, index: int) -> int:
    tags = [f"tag-{index % 50}", f"tag-{index % 7}"]
    body = json.dumps(event(source_id=f"post-{index}", body="a body " * 80, tags=tags)).encode()
    headers = service.signed(body, f"msg_{index}")
    return send(http, "POST", "/webhooks/posts/", body, headers).status
