"""Stands between a generator of requests and the service, and gives them what they cannot guess."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any
from zlib import crc32

from app.openapi.parameters import SIGNATURES
from app.signature import MAX_SIGNATURE_HEADER, TIMESTAMP, is_id, sign
from tests.app.readers import TOKEN
from tests.factories import SECRET

WebApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

UNPROVEN_SHARE = 8
"""One request of so many is passed on without proof."""


class SigningProxy:
    """Signs what is sent to the webhook, whatever its body is, and has a token for what is read.

    A request whose headers are not those of a delivery by their form stays as it is.
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
        if (
            is_id(webhook_id)
            and TIMESTAMP.fullmatch(environ.get("HTTP_WEBHOOK_TIMESTAMP", ""))
            and re.search(SIGNATURES, signature := environ.get("HTTP_WEBHOOK_SIGNATURE", ""))
            and len(signature) <= MAX_SIGNATURE_HEADER
        ):
            now = int(time.time())
            environ["HTTP_WEBHOOK_TIMESTAMP"] = str(now)
            environ["HTTP_WEBHOOK_SIGNATURE"] = sign(SECRET, webhook_id, now, body)
