"""Deliveries that prove nothing, each made of one whose signature is good."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable

from app import signature
from tests.clients.letters import dumped, secret_of
from tests.clients.libraries import Letter
from tests.factories import SECRET, Delivery, event

KEY = b64decode(SECRET.removeprefix("whsec_"))
ID = "msg_Forged"
BODY = dumped(event(title="Grüße, é", body="one\ntwo"), ensure_ascii=False, indent=1)


def genuine() -> Delivery:
    return Letter(ID, int(time.time()), BODY).signed_by_us()


def body(change: Callable[[bytes], bytes]) -> Delivery:
    good = genuine()
    changed = change(good.body)
    assert changed != good.body
    return Delivery(changed, good.headers)


def header(name: str, change: Callable[[str], str | None]) -> Delivery:
    """One header changed, or left out; the others as they were."""
    good = genuine()
    before = good.headers[f"webhook-{name}"]
    after = change(before)
    assert after != before
    headers = {**good.headers, f"webhook-{name}": after}
    return Delivery(good.body, {name: text for name, text in headers.items() if text is not None})


def at(seconds: float) -> Delivery:
    """A good signature, made at another time."""
    return Letter(ID, int(time.time() + seconds), BODY).signed_by_us()


def of(make: Callable[[str, bytes], bytes]) -> Delivery:
    """A signature of another making; it is given what is to be signed."""
    good = genuine()
    signed = f"{ID}.{good.headers['webhook-timestamp']}."
    made = b64encode(make(signed, good.body)).decode()
    return Delivery(good.body, {**good.headers, "webhook-signature": f"v1,{made}"})


def _mac(key: bytes, text: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(key, text, algorithm)


def _cut_elsewhere() -> Delivery:
    """The beginning of the body as the end of the id."""
    good = genuine()
    start, rest = good.body[:1].decode(), good.body[1:]
    moved = f"{ID}.{good.headers['webhook-timestamp']}.{start}"
    return Delivery(rest, {**good.headers, "webhook-id": moved})


def _wrong() -> str:
    return signature.sign(secret_of(40), ID, int(time.time()), BODY)


def _swapped() -> Delivery:
    """The proof of one delivery with the body of another."""
    other = dumped(event("post.deleted"))
    return Delivery(other, genuine().headers)


FORGERIES: dict[str, Callable[[], Delivery]] = {
    "body: a blank more": lambda: body(lambda text: text + b" "),
    "body: NUL more": lambda: body(lambda text: text + b"\0"),
    "body: a byte less": lambda: body(lambda text: text[:-1]),
    "body: a byte changed": lambda: body(lambda text: text.replace(b"one", b"onE")),
    "body: none": lambda: body(lambda _: b""),
    "body: lines end with CRLF": lambda: body(lambda text: text.replace(b"\n", b"\r\n")),
    "body: the same JSON": lambda: body(lambda text: json.dumps(json.loads(text)).encode()),
    "body: decomposed": lambda: body(lambda text: text.replace("é".encode(), "e\u0301".encode())),
    "body: in Latin-1": lambda: body(lambda text: text.decode().encode("latin-1")),
    "body: a mark of byte order": lambda: body(lambda text: b"\xef\xbb\xbf" + text),
    "body: twice": lambda: body(lambda text: text * 2),
    "body: of another delivery": _swapped,
    "body: cut elsewhere": _cut_elsewhere,
    "id: another": lambda: header("id", lambda _: "msg_other"),
    "id: in small letters": lambda: header("id", str.lower),
    "id: longer": lambda: header("id", lambda text: text + "."),
    "id: empty": lambda: header("id", lambda _: ""),
    "id: missing": lambda: header("id", lambda _: None),
    "time: a second later": lambda: header("timestamp", lambda text: str(int(text) + 1)),
    "time: a second earlier": lambda: header("timestamp", lambda text: str(int(text) - 1)),
    "time: empty": lambda: header("timestamp", lambda _: ""),
    "time: missing": lambda: header("timestamp", lambda _: None),
    "time: a word": lambda: header("timestamp", lambda _: "now"),
    "time: negative": lambda: header("timestamp", lambda text: f"-{text}"),
    "time: not a number": lambda: header("timestamp", lambda _: "NaN"),
    "time: infinite": lambda: header("timestamp", lambda _: "Infinity"),
    "time: without end": lambda: header("timestamp", lambda _: "9" * 5000),
    "time: hexadecimal": lambda: header("timestamp", lambda text: hex(int(text))),
    "time: a date": lambda: header("timestamp", lambda _: "2026-01-01T00:00:00Z"),
    "time: stale": lambda: at(-305),
    "time: of yesterday": lambda: at(-86_400),
    "time: of the epoch": lambda: at(-time.time()),
    "time: ahead": lambda: at(305),
    "time: milliseconds": lambda: at(time.time() * 999),
    "signature: empty": lambda: header("signature", lambda _: ""),
    "signature: missing": lambda: header("signature", lambda _: None),
    "signature: blanks": lambda: header("signature", lambda _: "   "),
    "signature: the version alone": lambda: header("signature", lambda _: "v1"),
    "signature: nothing after v1": lambda: header("signature", lambda _: "v1,"),
    "signature: v1a": lambda: header("signature", lambda text: text.replace("v1,", "v1a,")),
    "signature: v2": lambda: header("signature", lambda text: text.replace("v1,", "v2,")),
    "signature: V1": lambda: header("signature", str.capitalize),
    "signature: no version": lambda: header("signature", lambda text: text.removeprefix("v1,")),
    "signature: v1=": lambda: header("signature", lambda text: text.replace(",", "=", 1)),
    "signature: quoted": lambda: header("signature", lambda text: f'"{text}"'),
    "signature: cut by a group": lambda: header("signature", lambda text: text[:-4]),
    "signature: without padding": lambda: header("signature", lambda text: text.rstrip("=")),
    "signature: half": lambda: header("signature", lambda text: text[:24]),
    "signature: cases swapped": lambda: header(
        "signature", lambda text: "v1," + text.removeprefix("v1,").swapcase()
    ),
    "signature: a comma between two": lambda: header(
        "signature", lambda text: f"{_wrong()},{text}"
    ),
    "signature: a tab between two": lambda: header("signature", lambda text: f"{_wrong()}\t{text}"),
    "signature: twenty of another key": lambda: header(
        "signature", lambda _: " ".join([_wrong()] * 20)
    ),
    "signature: no base64": lambda: header("signature", lambda _: "v1," + "!" * 44),
    "signature: zeros": lambda: of(lambda _, __: bytes(32)),
    "signature: of the body alone": lambda: of(lambda _, text: _mac(KEY, text)),
    "signature: of the time and the body": lambda: of(
        lambda signed, text: _mac(KEY, signed.removeprefix(f"{ID}.").encode() + text)
    ),
    "signature: of no body": lambda: of(lambda signed, _: _mac(KEY, signed.encode())),
    "signature: the secret's text as key": lambda: of(
        lambda signed, text: _mac(SECRET.encode(), signed.encode() + text)
    ),
    "signature: no key": lambda: of(lambda signed, text: _mac(b"", signed.encode() + text)),
    "signature: SHA-1": lambda: of(lambda signed, text: _mac(KEY, signed.encode() + text, "sha1")),
    "signature: SHA-512": lambda: of(
        lambda signed, text: _mac(KEY, signed.encode() + text, "sha512")
    ),
    "signature: a digest without a key": lambda: of(
        lambda signed, text: hashlib.sha256(KEY + signed.encode() + text).digest()
    ),
    "signature: hexadecimal": lambda: header(
        "signature", lambda text: "v1," + b64decode(text.removeprefix("v1,")).hex()
    ),
}
