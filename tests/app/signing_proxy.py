"""Stands between a generator of requests and the service, and gives them what they cannot guess."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any
from zlib import crc32

from app.signature import is_id, sign
from tests.app.readers import TOKEN
from tests.factories import SECRET

WebApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

UNPROVEN_SHARE = 8
"""One request of so many is passed on without proof."""


class SigningProxy:
    """Signs what is sent to the webhook, whatever its body is, and has a token for what is read.

    A request without the headers of a delivery stays as it is, and so does one with an id that
    cannot be one.
    """

    def __init__(self, application: WebApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        place = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}".encode()
        if crc32(place + body) % UNPROVEN_SHARE:
            self._prove(environ, body)
        return self._application(environ, start_response)

    def _prove(self, environ: dict[str, Any], body: bytes) -> None:
        if environ["PATH_INFO"].startswith("/posts/"):
            environ["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
        webhook_id = environ.get("HTTP_WEBHOOK_ID", "")
        if is_id(webhook_id) and "HTTP_WEBHOOK_SIGNATURE" in environ:
            now = int(time.time())
            environ["HTTP_WEBHOOK_TIMESTAMP"] = str(now)
            environ["HTTP_WEBHOOK_SIGNATURE"] = sign(SECRET, webhook_id, now, body)
