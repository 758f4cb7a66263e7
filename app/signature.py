"""Who sent it: Standard Webhooks signatures over the raw body. Pure functions, no Django.

The rules are those of the Standard Webhooks specification
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
a secret is `whsec_` and the base64 of 24 to 64 random bytes; what is signed is
`webhook-id.webhook-timestamp.body`; `webhook-signature` holds space-separated `v1,<base64>` of its
HMAC-SHA256, several of them while the sender rotates its secret.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECRET_PREFIX = "whsec_"  # noqa: S105 - the format's name, not a secret
SECRET_BYTES = range(24, 65)
MAX_SIGNATURE_HEADER = 2048
"""Characters; room for forty signatures. A longer header is refused before any comparison."""

# Visible ASCII without braces. The specification wants no "." in an id, lest the signed text be
# cut elsewhere: bytes that were signed as part of a body would pass as part of an id, or the other
# way round. Here dots are harmless: a body is a JSON object or array, and cut in the middle neither
# is JSON any more. (A number is: "7" of "1700000001.7". Whoever reads other bodies refuses those.)
MAX_ID = 255
ID = re.compile(rf"[!-z|~]{{1,{MAX_ID}}}")
TIMESTAMP = re.compile(r"[0-9]{1,12}")


class Reason(StrEnum):
    """Why a delivery is refused: for logs and metrics alone, a caller could probe with it."""

    MALFORMED_HEADER = "malformed_header"
    STALE = "stale"
    FUTURE = "future"
    NO_KEY_MATCHES = "no_key_matches"


class SignatureRefused(Exception):
    """The delivery does not prove that a holder of a secret sent it just now."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class MalformedSecret(ValueError):
    """The text is not a secret in the format of Standard Webhooks. It never quotes the text."""


def decode_secret(secret: str) -> bytes:
    """Return the key in `secret`. Raises `MalformedSecret`.

    Strict, since a lenient decoder skips what it does not know and turns a mangled secret into
    a key of a few bytes. Canonical, so that a key has one text: a last digit that says more than
    the bytes hold, or padding where none belongs, was not written by an encoder.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise MalformedSecret(f"it does not start with {SECRET_PREFIX!r}")
    encoded = secret.removeprefix(SECRET_PREFIX)
    try:
        key = b64decode(encoded.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise MalformedSecret("what follows the prefix is not base64") from None
    if b64encode(key).decode() != encoded:
        raise MalformedSecret("what follows the prefix is not base64 as an encoder writes it")
    if len(key) not in SECRET_BYTES:
        raise MalformedSecret(f"it holds {len(key)} bytes where 24 to 64 are allowed")
    return key


def faults(secrets: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Give the place, from 1, of each secret that cannot be used, and why. It quotes none."""
    places: dict[bytes, int] = {}
    for place, secret in enumerate(secrets, start=1):
        try:
            key = decode_secret(secret)
        except MalformedSecret as error:
            yield place, str(error)
            continue
        if (first := places.setdefault(key, place)) != place:
            yield place, f"it is the same as number {first}"


@lru_cache(maxsize=64)
def fingerprint(key: bytes) -> str:
    """Return 16 hexadecimal digits that tell keys apart and do not tell what they are."""
    return hashlib.sha256(b"pillarbox key:" + key).hexdigest()[:16]


def is_id(text: str) -> bool:
    """Whether a text can be a webhook-id: 1 to 255 visible ASCII characters without braces."""
    return ID.fullmatch(text) is not None


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature, `v1,<base64>`. `timestamp` is in seconds since the epoch.

    Raises `MalformedSecret`.
    """
    return _signature(decode_secret(secret), f"{webhook_id}.{timestamp}.".encode(), body)


def verify(
    keys: Iterable[bytes],
    *,
    webhook_id: str | None,
    timestamp: str | None,
    signature: str | None,
    body: bytes,
    now: float,
    tolerance: int,
) -> bytes:
    """Return which of `keys` signed exactly this, within `tolerance` seconds of `now`.

    The three texts are the headers as they came, None for a missing one; `keys` come from
    `decode_secret`. Raises `SignatureRefused`, and nothing else, for whatever a caller may send.
    """
    if webhook_id is None or not is_id(webhook_id):
        raise _malformed("webhook-id is not 1 to 255 visible ASCII characters")
    if timestamp is None or not TIMESTAMP.fullmatch(timestamp):
        raise _malformed("webhook-timestamp is not a number of seconds")
    if not signature or len(signature) > MAX_SIGNATURE_HEADER:
        raise _malformed("webhook-signature is missing or too long")
    # Both ways: a date ahead of us would keep a captured delivery alive beyond the window.
    ahead = int(timestamp) - now
    if abs(ahead) > tolerance:
        reason = Reason.FUTURE if ahead > 0 else Reason.STALE
        raise SignatureRefused(reason, f"webhook-timestamp is {ahead:+.0f} s from now")
    signed = f"{webhook_id}.{timestamp}.".encode()
    candidates = [text.encode("utf-8", "replace") for text in signature.split(" ")]
    matching = []
    for key in keys:
        expected = _signature(key, signed, body).encode()
        # No early end: the time taken tells neither which key nor which signature matched.
        if True in [hmac.compare_digest(expected, candidate) for candidate in candidates]:
            matching.append(key)
    if not matching:
        raise SignatureRefused(Reason.NO_KEY_MATCHES, f"{len(candidates)} signatures")
    return matching[0]


def _malformed(detail: str) -> SignatureRefused:
    return SignatureRefused(Reason.MALFORMED_HEADER, detail)


def _signature(key: bytes, signed: bytes, body: bytes) -> str:
    mac = hmac.new(key, signed, hashlib.sha256)
    mac.update(body)  # not joined to one text first: a body may hold a megabyte
    return "v1," + b64encode(mac.digest()).decode()
