"""Bodies that somebody would send to find out what breaks."""

from __future__ import annotations

import json
from random import Random

_EVENT = (
    b'{"type":"post.created","timestamp":"2026-01-01T00:00:00Z",'
    b'"data":{"id":"h","title":%s,"body":"","categories":[],"tags":%s}}'
)
_DEEP = 100_000


def hostile(random: Random) -> bytes:
    """One of them; where a number matters, another one each time."""
    return random.choice(_KINDS)(random)


def spoiled_bytes(body: bytes, random: Random) -> bytes:
    """The body with a few of its bytes changed, doubled, swapped or cut off."""
    spoiled = bytearray(body or b"{}")
    for _ in range(random.choice([1, 1, 2, 8])):
        place = random.randrange(len(spoiled) + 1)
        until = place + random.choice([1, 1, 4, 64])
        match random.randrange(5):
            case 0:
                spoiled[place:until] = random.randbytes(until - place)
            case 1:
                spoiled[place:place] = spoiled[place:until]
            case 2:
                del spoiled[place:until]
            case 3:
                spoiled[place:place] = random.choice([b"\x00", b"\xff", b'"', b"{", b"]", b"\\u"])
            case _:
                del spoiled[place:]
    return bytes(spoiled)


def _event(title: bytes = b'""', tags: bytes = b"[]") -> bytes:
    return _EVENT % (title, tags)


_KINDS = [
    lambda random: b"[" * random.choice([10, 999, 1001, _DEEP]),
    lambda _: b'{"a":' * _DEEP,
    lambda _: b"[" * _DEEP + b"]" * _DEEP,
    lambda random: _event(tags=b"[" * 5000 + b"]" * 5000),
    lambda random: b"9" * random.choice([400, 4299, 4301, 60_000]),
    lambda random: _event(title=b"1e%d" % random.choice([5, 308, 309, 99_999_999])),
    lambda _: _event(title=b"-0.0000000000000000001E-400"),
    lambda _: _event(title=b'"\\ud800"'),
    lambda _: _event(tags=b'["\\udc00\\ud800"]'),
    lambda _: _event(title=b'"\\u0000"'),
    lambda _: _event(title=b'"\xed\xa0\x80"'),
    lambda _: _event(title=b'"\xc0\x80"'),
    lambda _: _event(tags=json.dumps(["\u0344" * 20_000]).encode()),
    lambda _: _event(tags=json.dumps(["\ufdfa" * 100]).encode()),
    lambda _: _event(tags=b"[" + b"null," * 50_000 + b"1]"),
    lambda random: b'{"' + b"k" * random.choice([1, 65_536]) + b'":1,' * 3 + b'"z":1}',
    lambda _: json.dumps({f"k{number}": number for number in range(20_000)}).encode(),
    lambda _: b'{"type":"post.deleted","type":"post.created"}',
    lambda _: _event().replace(b"post.created", "post.cre\u0430ted".encode()),
    lambda _: _event().replace(b"2026-01-01T00:00:00Z", b"9999-12-31T23:59:59-23:59"),
    lambda _: b"\xef\xbb\xbf" + _event(),
    lambda _: _event().decode().encode("utf-16"),
    lambda _: b"NaN",
    lambda _: b"Infinity",
    lambda _: b"",
    lambda random: random.randbytes(random.choice([1, 100, 5000])),
    lambda _: b"\x1f\x8b" + bytes(500),
    lambda random: b" " * random.choice([10, 1_048_576, 1_048_577]) + b"{}",
]
