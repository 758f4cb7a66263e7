"""One request of the fuzz run: which it is depends on the seed and its number alone.

But for the time at which it is signed, and with it the signature.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from random import Random
from typing import Any

from app.signature import sign
from tests.fuzz.hostile import hostile, spoiled_bytes
from tests.fuzz.sampler import Sampler

PATH = "/webhooks/posts/"
KINDS = {
    "honest": 38,
    "again": 5,
    "invalid": 17,
    "bytes": 14,
    "hostile": 10,
    "headers": 7,
    "unproven": 5,
    "lengths": 3,
    "method": 1,
}
_METHODS = [b"GET", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND"]
_TIMESTAMPS = ["", "0", "-1", "1e9", "9" * 400, "\u0661", "NaN", "1767225600.0", " 1767225600"]
_EXTRA = [
    "content-type: text/plain", "content-type: application/json; charset*=x''%zz", "content-type:",
    "content-encoding: gzip", "content-encoding: identity", "accept: nothing/*", "cookie: a=\x7f;b",
    "authorization: Bearer x", "x-forwarded-proto: https", "referer: " + "x" * 4000, "te: trailers",
    "host: elsewhere", "webhook_id: 1", "x-http-method-override: GET", "range: bytes=5-1",
    "if-none-match: *", "connection: keep-alive", "origin: null", "cookie: sessionid=../../x",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Letter:
    """A request as it is sent. Where `framed`, one answer follows and the connection stays."""

    kind: str
    wire: bytes
    framed: bool


def letter(document: dict[str, Any], seed: int, number: int, secret: str) -> Letter:
    """Make the request of a number."""
    random = Random(f"{seed}:{number}")
    [kind] = random.choices(list(KINDS), list(KINDS.values()))
    body = _body(kind, Sampler(document, random), random)
    # Several of these share an id: the first is accepted, the others are in conflict with it.
    name = f"again-{number // 100}" if kind == "again" else str(number)
    headers = _signed(f"fuzz-{seed}-{name}", secret, body)
    if kind == "unproven":
        _disprove(headers, random)
    method = random.choice(_METHODS) if kind == "method" else b"POST"
    framing, sent = _framed(kind, body, random)
    lines = [f"{name}: {value}".encode("utf-8", "surrogatepass") for name, value in headers.items()]
    if kind == "headers":
        lines = _spoiled_lines(lines, random)
    # The framing comes first: what spoils the other lines leaves it as it is.
    head = [method + f" {PATH} HTTP/1.1".encode(), b"host: localhost", framing, *lines]
    return Letter(kind, b"\r\n".join([*head, b"", sent]), kind not in ("headers", "lengths"))


def _body(kind: str, sampler: Sampler, random: Random) -> bytes:
    if kind == "hostile":
        return hostile(random)
    event = sampler.valid({"$ref": "#/components/schemas/Event"})
    if kind == "invalid":
        for _ in range(random.choice([1, 1, 2, 5])):
            event = sampler.spoiled(event)
    body = json.dumps(event, ensure_ascii=True).encode()
    if random.random() < 0.5 and kind != "invalid":  # one half a surrogate has no UTF-8
        body = json.dumps(event, ensure_ascii=False).encode()
    return spoiled_bytes(body, random) if kind == "bytes" else body


def _signed(webhook_id: str, secret: str, body: bytes) -> dict[str, str]:
    now = int(time.time())
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, webhook_id, now, body),
    }


def _disprove(headers: dict[str, str], random: Random) -> None:
    match random.randrange(4):
        case 0:
            del headers[random.choice(list(headers)[1:])]
        case 1:
            headers["webhook-timestamp"] = random.choice(_TIMESTAMPS)
        case 2:
            headers["webhook-signature"] = random.choice(["", "v1,", "v1", "v2,AAAA", "v1,=" * 900])
        case _:
            place = random.randrange(3, 40)
            signature = headers["webhook-signature"]
            other = "A" if signature[place] != "A" else "B"
            headers["webhook-signature"] = signature[:place] + other + signature[place + 1 :]


def _spoiled_lines(lines: list[bytes], random: Random) -> list[bytes]:
    if random.random() < 0.5:
        lines = [*lines, random.choice(_EXTRA).encode()]
    else:
        place = random.randrange(len(lines))
        lines[place] = spoiled_bytes(lines[place], random)
    return random.sample(lines, len(lines))


def _framed(kind: str, body: bytes, random: Random) -> tuple[bytes, bytes]:
    """The line that says how long the body is, and the body as it is sent."""
    length = len(body)
    if kind == "lengths":
        length = max(0, length + random.choice([-length, -1, 1, 7, 1000, 2_000_000, 10**18]))
    elif random.random() < 0.3:
        return b"transfer-encoding: chunked", _chunked(body, random)
    return b"content-length: %d" % length, body


def _chunked(body: bytes, random: Random) -> bytes:
    sent = b""
    while body:
        size = random.choice([1, 2, 15, 16, 255, 4096, 65_536, 1_048_576])
        part, body = body[:size], body[size:]
        sent += b"%x\r\n%b\r\n" % (len(part), part)
    return sent + b"0\r\n\r\n"
