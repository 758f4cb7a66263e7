from __future__ import annotations

import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.signature import (
    MalformedSecret,
    SignatureRefused,
    decode_secret,
    fingerprint,
    sign,
    verify,
)

KEY = bytes(range(32))
SECRET = "whsec_" + b64encode(KEY).decode()
OTHER_KEY = bytes(range(1, 33))
OTHER_SECRET = "whsec_" + b64encode(OTHER_KEY).decode()
NOW = 1_700_000_000
BODY = b'{"type":"post.created"}'


def check(**changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "keys": [KEY],
        "webhook_id": "msg_1",
        "timestamp": str(NOW),
        "signature": sign(SECRET, "msg_1", NOW, BODY),
        "body": BODY,
        "now": NOW,
        "tolerance": 300,
    }
    arguments |= changes
    return verify(arguments.pop("keys"), **arguments)


def test_a_signature_of_the_specifications_own_library_is_accepted() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    check(signature=Webhook(SECRET).sign("msg_1", at, BODY.decode()))


def test_the_specifications_own_library_accepts_ours() -> None:
    now = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(SECRET, "msg_1", now, BODY),
    }
    assert Webhook(SECRET).verify(BODY, headers) == {"type": "post.created"}


def test_every_key_is_tried_against_every_signature() -> None:
    ours = sign(SECRET, "msg_1", NOW, BODY)
    foreign = sign("whsec_" + b64encode(bytes(24)).decode(), "msg_1", NOW, BODY)
    check(keys=[OTHER_KEY, KEY], signature=f"v1a,abc {foreign} {ours}")


def test_no_key_accepts_nothing() -> None:
    with pytest.raises(SignatureRefused):
        check(keys=[])


@pytest.mark.parametrize("now", [NOW - 300, NOW + 300])
def test_the_edges_of_the_window_are_inside(now: float) -> None:
    check(now=now)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": BODY + b" "},
        {"keys": [OTHER_KEY]},
        {"webhook_id": "msg_2"},
        {"webhook_id": None},
        {"webhook_id": ""},
        {"webhook_id": "with space"},
        {"webhook_id": "brace{"},
        {"webhook_id": "line\nbreak"},
        {"webhook_id": "\xe9"},
        {"webhook_id": "x" * 256},
        {"timestamp": None},
        {"timestamp": ""},
        {"timestamp": "now"},
        {"timestamp": f"{NOW}.0"},
        {"timestamp": f" {NOW}"},
        {"timestamp": f"-{NOW}"},
        {"timestamp": "\u0661" * 10},
        {"timestamp": "9" * 5000},
        {"timestamp": str(NOW + 1)},
        {"signature": None},
        {"signature": ""},
        {"signature": "v1,"},
        {"signature": "v1"},
        {"signature": "v1,\xff\u20ac\ud800"},
        {"signature": sign(SECRET, "msg_1", NOW, BODY).replace("v1,", "v1a,")},
        {"signature": sign(SECRET, "msg_1", NOW, BODY).removeprefix("v1,")},
        {"signature": " " * 2048 + sign(SECRET, "msg_1", NOW, BODY)},
        {"now": NOW + 301},
        {"now": NOW - 301},
    ],
    ids=lambda changes: repr(changes)[:40],
)
def test_what_is_not_proof_is_refused_and_raises_nothing_else(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefused):
        check(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"webhook_id": None}, "malformed_header"),
        ({"timestamp": "now"}, "malformed_header"),
        ({"signature": None}, "malformed_header"),
        ({"signature": ""}, "malformed_header"),
        ({"now": NOW + 301}, "stale"),
        ({"now": NOW - 301}, "future"),
        ({"keys": [OTHER_KEY]}, "no_key_matches"),
        ({"body": BODY + b" "}, "no_key_matches"),
        ({"keys": []}, "no_key_matches"),
    ],
)
def test_the_reason_of_a_refusal_is_one_of_four(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        check(**changes)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{reason}: ")


def test_of_several_keys_that_signed_the_first_is_told() -> None:
    both = [sign(secret, "msg_1", NOW, BODY) for secret in (SECRET, OTHER_SECRET)]
    for signature in (" ".join(both), " ".join(reversed(both))):
        assert check(keys=[KEY, OTHER_KEY], signature=signature) == KEY
        assert check(keys=[OTHER_KEY, KEY], signature=signature) == OTHER_KEY


def test_the_key_that_signed_is_told_and_its_fingerprint_is_not_the_key() -> None:
    assert check(keys=[OTHER_KEY, KEY]) == KEY
    assert len(fingerprint(KEY)) == 16
    assert fingerprint(KEY) != fingerprint(OTHER_KEY)
    assert fingerprint(KEY) not in KEY.hex()


def test_an_id_of_255_characters_with_dots_is_accepted() -> None:
    webhook_id = "a.b" * 85
    check(webhook_id=webhook_id, signature=sign(SECRET, webhook_id, NOW, BODY))


def test_a_cut_elsewhere_in_the_signed_text_is_refused() -> None:
    body = b'x.1700000000.{"type":"post.created"}'
    signature = sign(SECRET, "msg_1", NOW, b'{"title":"' + body + b'"}')
    with pytest.raises(SignatureRefused):
        check(
            webhook_id=f'msg_1.{NOW}.{{"title":"x',
            body=b'{"type":"post.created"}"}',
            signature=signature,
        )


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_of_24_to_64_bytes_are_taken(size: int) -> None:
    assert decode_secret("whsec_" + b64encode(bytes(size)).decode()) == bytes(size)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        b64encode(KEY).decode(),
        "whsec_" + b64encode(bytes(23)).decode(),
        "whsec_" + b64encode(bytes(65)).decode(),
        SECRET + "!",
        SECRET + "\n",
        SECRET.replace("A", "-", 1),
        SECRET[:-1],
        SECRET[:-2] + "9=",  # its last digit says more than the bytes hold
        SECRET[:20] + "\n" + SECRET[20:],
        SECRET + "====",
        "whsec_" + "\xe9" * 44,
    ],
    ids=repr,
)
def test_a_malformed_secret_is_refused_and_never_quoted(secret: str) -> None:
    with pytest.raises(MalformedSecret) as caught:
        decode_secret(secret)
    rest = secret.removeprefix("whsec_")
    assert not rest or rest not in str(caught.value)
