"""A signed sample delivery, made and sent as an outside sender would."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from app.signature import MalformedSecret, sign

CATEGORIES = ("News", "Engineering")
TAGS = ("outbox", "celery", "postgresql")

_BODY = """\
A letter dropped into a pillar box is out of your hands and not yet with its reader, and still \
nobody worries: it is collected, carried and delivered, whatever happens on the way. This Post is \
such a letter. It was answered before its categories and tags were filled, its task was published \
only after they were, and the task read the primary."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes over the wire, and the id of the Post that it creates."""

    source_id: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; ``seconds`` is how long it took from the first byte sent.

    The names of the headers are in lower case.
    """

    status: int
    body: bytes
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.body)


def sample(webhook_secrets: str) -> Delivery:
    """A fresh delivery of a new Post, signed with the first (the newest) of the secrets.

    Raises:
        ValueError: the secret is none in the format of Standard Webhooks.
    """
    source_id = f"sample-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    body = json.dumps(
        {
            "type": "post.created",
            "timestamp": datetime.now(UTC).isoformat(),
            "data": {
                "id": source_id,
                "title": "A letter for the pillar box",
                "body": _BODY,
                "categories": list(CATEGORIES),
                "tags": list(TAGS),
            },
        }
    ).encode()
    return Delivery(source_id, _headers(webhook_secrets, body), body)


def _headers(webhook_secrets: str, body: bytes) -> dict[str, str]:
    webhook_id, timestamp = f"msg_{secrets.token_hex(12)}", int(time.time())
    newest = (webhook_secrets.replace(",", " ").split() or [""])[0]
    try:
        signature = sign(newest, webhook_id, timestamp, body)
    except MalformedSecret as error:
        raise ValueError(f"the first secret of WEBHOOK_SECRETS cannot be used: {error}") from error
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def send(base_url: str, delivery: Delivery, *, timeout: float) -> Answer:
    """Post it. Raises OSError when the web process cannot be reached or does not answer."""
    return request("POST", base_url, "/webhooks/posts/", delivery.body, delivery.headers, timeout)


def get(base_url: str, path: str, *, timeout: float) -> Answer:
    """Get a page. Raises OSError when the web process cannot be reached or does not answer."""
    return request("GET", base_url, path, None, {}, timeout)


def request(
    method: str,
    base_url: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    timeout: float,
) -> Answer:
    """Send one request. Raises OSError when nobody answers it."""
    # Not urllib: it would send even a request to this machine through a proxy of the environment.
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=timeout)
    try:
        began = time.monotonic()
        connection.request(method, urlsplit(path).path, body, headers)
        response = connection.getresponse()
        content = response.read()
        seconds = time.monotonic() - began
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, content, seconds, names)
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
