"""From the steps of a row to the bytes that are sent."""

# ruff: noqa: RUF001 - the page marks what is filled in by signs that no request has
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.signature import decode_secret
from tests.front_door.page import Step, block

_PLACEHOLDER = re.compile("‹([^›]*)›".encode())
_ESCAPE = re.compile(rb"\\(?:(r)|(n)|(t)|x([0-9a-f]{2}))")
_CONTROL = (b"\r", b"\n", b"\t")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the web process was given, and one that it was not."""

    newest: str
    older: str
    strange: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes over the wire, one after the other."""

    whole: bytes
    drip: bytes = b""
    """Then this again and again, a little at a time, until an answer comes."""
    hang_up: bool = False
    private: tuple[bytes, ...] = ()
    """What no answer may quote."""


@dataclass(slots=True)
class Request:
    """A request in the making: at first the plain delivery of the page."""

    secrets: Secrets
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    post: str = field(default_factory=lambda: f"post-{uuid.uuid4().hex}")
    now: int = field(default_factory=lambda: int(time.time()))
    line: str = ""
    headers: list[str] = field(default_factory=list)
    outer: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    padded: int = 0
    sent: str | None = None
    behind: str = ""
    only: str | None = None
    drip: str = ""
    hang_up: bool = False

    def __post_init__(self) -> None:
        self.line, *self.headers = block(0).partition("\n\n")[0].splitlines()
        event = json.loads(block(1))
        data = event.pop("data")
        self.data = {name: _member(name, value) for name, value in data.items()}
        self.outer = {name: _member(name, value) for name, value in event.items()}
        self.outer["data"] = '"data":{‹data›}'

    def change(self, verb: str, text: str) -> None:
        """Do one step of a row."""
        name = text.partition(":")[0]
        if verb == "with":
            places = [n for n, each in enumerate(self.headers) if _is_named(each, name)]
            if places:
                self.headers[places[0]] = text
            else:
                self.headers.append(text)
        elif verb == "also":
            self.headers.append(text)
        elif verb == "without":
            assert any(_is_named(each, name) for each in self.headers), text
            self.headers = [each for each in self.headers if not _is_named(each, name)]
        elif verb == "in chunks":
            self.change("without", "Content-Length")
            self.change("also", "Transfer-Encoding: chunked")
            self.sent = text
        elif verb in ("field", "no field", "outer field"):
            self._change_field(verb, text)
        else:
            self._change_rest(verb, text)

    def _change_field(self, verb: str, text: str) -> None:
        [name] = re.findall(r'^"(.*?)"', text)
        members = self.data if name in self.data else self.outer
        if verb == "no field":
            del members[name]
        elif verb == "outer field" or name in self.outer:
            self.outer[name] = text
        else:
            self.data[name] = text

    def _change_rest(self, verb: str, text: str) -> None:
        if not text:
            assert verb in ("the delivery", "no body", "nothing", "hang up", "wait"), verb
            self.body = "" if verb == "no body" else self.body
            self.only = "" if verb == "nothing" else self.only
            self.hang_up = self.hang_up or verb == "hang up"
        elif verb == "padded to":
            self.padded = int(text)
        else:
            attribute = {"then": "behind", "send": "sent"}.get(verb, verb)
            assert attribute in ("line", "body", "sent", "behind", "only", "drip"), verb
            setattr(self, attribute, text)

    def bytes(self) -> Sent:
        """Fill in what depends on the rest, and give what is sent."""
        body = self._expand(self._body()).ljust(self.padded)
        values = {"body": body, "length": b"%d" % len(body), "size": b"%x" % len(body)}
        signed = [self._header("webhook-id", "‹id›"), self._header("webhook-timestamp", "‹now›")]
        for word, secret in (
            ("signature", self.secrets.newest),
            ("older signature", self.secrets.older),
            ("strange signature", self.secrets.strange),
        ):
            values[word] = _signature(secret, b".".join([*signed, body]))
        head = "\\r\\n".join([self.line, *self.headers, "", ""])
        whole = self._expand(
            head + ("‹body›" if self.sent is None else self.sent) + self.behind
            if self.only is None
            else self.only,
            values,
        )
        private = [self.id, self.post, self.secrets.newest[6:], self.secrets.older[6:]]
        told = [each.encode() for each in private]
        told += [value[3:] for word, value in values.items() if "signature" in word]
        return Sent(whole, self._expand(self.drip, values), self.hang_up, tuple(told))

    def _body(self) -> str:
        if self.body is not None:
            return self.body
        outer = ",".join(self.outer.values())
        return "{" + outer.replace("‹data›", ",".join(self.data.values())) + "}"

    def _header(self, name: str, default: str) -> bytes:
        """The value that is signed."""
        found = [each.partition(":")[2] for each in self.headers if _is_named(each, name)]
        return self._expand(found[0] if found else default).strip(b" \t")

    def _expand(self, text: str, values: dict[str, bytes] | None = None) -> bytes:
        raw = _ESCAPE.sub(_byte, text.encode())

        def value(match: re.Match[bytes]) -> bytes:
            word = match[1].decode()
            if word.startswith("now"):
                return b"%d" % (self.now + int(word[3:] or 0))
            if "×" in word:
                repeated, _, times = word.rpartition("×")
                return repeated.encode() * int(times)
            if word == "another":
                return Request(self.secrets).bytes().whole
            if word in ("id", "post"):
                return str(getattr(self, word)).encode()
            return (values or {})[word]

        return _PLACEHOLDER.sub(value, raw)


def requests(steps: Sequence[Step], secrets: Secrets) -> list[Sent]:
    """The requests of a row: a second one has the id, the time and the body of the first."""
    request = Request(secrets)
    made = []
    for verb, text in steps:
        if verb == "again":
            made.append(request.bytes())
        else:
            request.change(verb, text)
    return [*made, request.bytes()]


def _byte(match: re.Match[bytes]) -> bytes:
    if match[4]:
        return bytes.fromhex(match[4].decode())
    return _CONTROL[(match.lastindex or 0) - 1]


def _member(name: str, value: object) -> str:
    return f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"


def _is_named(header: str, name: str) -> bool:
    return header.partition(":")[0].lower() == name.lower()


def _signature(secret: str, signed: bytes) -> bytes:
    mac = hmac.new(decode_secret(secret), signed, hashlib.sha256)
    return b"v1," + base64.b64encode(mac.digest())
