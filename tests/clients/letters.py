"""Letters of every kind that the specification allows a sender."""

from __future__ import annotations

import json
import time
import uuid
from base64 import b64encode
from typing import Any

from tests.clients.libraries import Letter
from tests.factories import event

LIMIT = 1_048_576
"""Bytes of a body, as WEBHOOK_MAX_BODY_BYTES has it by default."""

VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F)).replace("{", "").replace("}", "")


def secret_of(size: int) -> str:
    """A secret whose key has so many bytes, all of them different from size to size."""
    return "whsec_" + b64encode(bytes((size * 7 + n) % 256 for n in range(size))).decode()


def dumped(content: dict[str, Any], **options: Any) -> bytes:
    return json.dumps(content, **options).encode()


def of_full_size() -> bytes:
    """An event whose body has exactly the size of the limit."""
    frame = len(dumped(event(body="")))
    return dumped(event(body="x" * (LIMIT - frame)))


EVENTS: dict[str, bytes] = {
    "ascii": dumped(event()),
    "least": b'{"type":"post.deleted","timestamp":"2026-01-01T00:00:00Z","data":{"id":"1"}}',
    "unicode": dumped(event(title="Grüße 日本 \U0001f4ee e\u0301 \u202e"), ensure_ascii=False),
    "the same, escaped": dumped(event(title="Grüße 日本 \U0001f4ee e\u0301 \u202e")),
    "edges of unicode": dumped(event(title="\U0010ffff\ufffd\ufffe\u2028\x7f"), ensure_ascii=False),
    "nothing in it": dumped(event(title=" ", body="", categories=[], tags=[])),
    "indented": dumped(event(), indent=4),
    "without blanks": dumped(event(), separators=(",", ":")),
    "CRLF between": dumped(event(), indent=1).replace(b"\n", b"\r\n"),
    "CRLF inside": dumped(event(body="one\r\ntwo\rthree\n\n")),
    "blanks around": b" \t\r\n" + dumped(event()) + b"\r\n\t ",
    "looks signed": dumped(event(title="msg_1.1700000000.{}", body="v1,abc whsec_")),
    "percent and plus": dumped(event(title="%00%2e+&a=b;c", body="%s %(x)s {0} ${x}")),
    "of full size": of_full_size(),
    "wide, nearly of full size": dumped(event(body="日" * 340_000), ensure_ascii=False),
}

NO_EVENTS: dict[str, bytes] = {
    "no bytes": b"",
    "a blank": b" ",
    "a line": b"\r\n",
    "a mark of byte order": b"\xef\xbb\xbf{}",
    "NUL": b"\0",
    "dots": b"...",
    "no JSON": b"a=b&c=d",
    "braces": b"{}",
    "null": b"null",
    "text": b'""',
    "number": b"0",
}

IDS: list[str] = [
    "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    str(uuid.UUID(int=2**127 + 1)),
    "a",
    "0",
    "-",
    "evt:1/2?x=y&z=%20+#,;",
    "a.b..c.",
    "1700000000",
    "x" * 255,
    VISIBLE,
]


def letters(bodies: dict[str, bytes]) -> dict[str, Letter]:
    """One letter for each body, signed now."""
    now = int(time.time())
    return {
        f"body: {name}": Letter(f"msg_{number}", now, body)
        for number, (name, body) in enumerate(bodies.items())
    }


def every_kind_of_event() -> dict[str, Letter]:
    """Letters that differ in body, id, key and time; each is to be accepted."""
    now = int(time.time())
    body = EVENTS["unicode"]
    by_id = {f"id: {webhook_id[:40]}": Letter(webhook_id, now, body) for webhook_id in IDS}
    by_key = {
        f"key of {size} bytes": Letter(f"key_{size}", now, body, secret_of(size))
        for size in range(24, 65)
    }
    by_time = {
        f"time: {seconds:+d} s": Letter(f"time_{seconds}", now + seconds, body)
        for seconds in (-290, -1, 1, 290)
    }
    return letters(EVENTS) | by_id | by_key | by_time
