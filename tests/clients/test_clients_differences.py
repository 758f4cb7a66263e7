"""Where the libraries accept what we refuse, as docs/senders.md tells it: nothing else is known."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from app.signature import SECRET_BYTES
from tests.clients.forgeries import BODY, ID, header
from tests.clients.letters import dumped, secret_of
from tests.clients.libraries import Letter, NpmLibrary, PythonLibrary
from tests.factories import SECRET, Delivery, event

PAGE = Path(__file__).resolve().parents[2] / "docs" / "senders.md"
URL = "/webhooks/posts/"
BOTH = frozenset({"python", "npm"})
PYTHON, NPM = frozenset({"python"}), frozenset({"npm"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of the page, deliveries that are of its kind, and which libraries accept them."""

    row: str
    accepted_by: frozenset[str]
    deliveries: Callable[[], list[Delivery]]
    secret: str = SECRET
    tolerance: int = 300


def _time(change: Callable[[str], str]) -> Delivery:
    return header("timestamp", change)


def _signature(change: Callable[[str], str]) -> Delivery:
    return header("signature", change)


def _letter(secret: str = SECRET, webhook_id: str = ID, age: int = 0) -> Delivery:
    """Signed by the Python library: ours does not sign with what it would not take."""
    letter = Letter(webhook_id, int(time.time()) - age, BODY, secret)
    return PythonLibrary().signed([letter])[0]


def _bytes_exchanged() -> Delivery:
    text = BODY.decode()
    signed = replace(Letter(ID, int(time.time()), b""), body=text.replace("one", "\ufffd").encode())
    return replace(signed.signed_by_us(), body=BODY.replace(b"one", b"\xff"))


SHORT = "whsec_" + b64encode(bytes(SECRET_BYTES.start - 1)).decode()
LONG = "whsec_" + b64encode(bytes(SECRET_BYTES.stop)).decode()
BARE = secret_of(32).removeprefix("whsec_")
UNPADDED = secret_of(32).rstrip("=")

DIFFERENCES = [
    Difference(
        "A time that is not digits alone: `1700000000.0`, `+1700000000`, `01700000000`",
        BOTH,
        lambda: [_time(lambda t: f"{t}.0"), _time(lambda t: f"+{t}"), _time(lambda t: f"0{t}")],
    ),
    Difference(
        "A time with letters after it: `1700000000s`",
        NPM,
        lambda: [_time(lambda text: f"{text}s"), _time(lambda text: f"{text} {text}")],
    ),
    Difference(
        "A signature with characters that are not base64 in it",
        PYTHON,
        lambda: [_signature(lambda text: f"{text[:9]}!{text[9:]}"), _signature(lambda t: t + "\t")],
    ),
    Difference(
        "A signature with a comma and more after it",
        NPM,
        lambda: [_signature(lambda text: f"{text},{text}"), _signature(lambda text: f"{text},")],
    ),
    Difference(
        "Signatures of more than 2,048 characters together",
        BOTH,
        lambda: [_signature(lambda text: "v1a,AAAA " * 228 + text)],
    ),
    Difference(
        "An id of more than 255 characters, or with blanks or braces in it",
        BOTH,
        lambda: [_letter(webhook_id=text) for text in ("x" * 256, "msg 1", "{msg}", "msg_1}")],
    ),
    Difference(
        "Bytes that are not UTF-8, exchanged for others that are not",
        NPM,
        lambda: [_bytes_exchanged()],
    ),
    Difference("A key of fewer than 24 bytes", BOTH, lambda: [_letter(SHORT)], secret=SHORT),
    Difference("A key of more than 64 bytes", BOTH, lambda: [_letter(LONG)], secret=LONG),
    Difference("A secret without `whsec_`", BOTH, lambda: [_letter(BARE)], secret=BARE),
    Difference(
        "A secret without the padding of base64",
        BOTH,
        lambda: [_letter(UNPADDED)],
        secret=UNPADDED,
    ),
    Difference(
        "A time beyond `WEBHOOK_TOLERANCE_SECONDS`, where that is below 300",
        BOTH,
        lambda: [_letter(age=100), _letter(age=-100)],
        tolerance=60,
    ),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.row)
def test_what_the_page_calls_stricter_is_refused_here_and_accepted_there(
    difference: Difference, settings: Any, npm: NpmLibrary
) -> None:
    settings.WEBHOOK_SECRETS = [difference.secret]
    settings.WEBHOOK_TOLERANCE_SECONDS = difference.tolerance
    deliveries = difference.deliveries()
    assert [Client().post(URL, **each.request).status_code for each in deliveries] == [
        401 for _ in deliveries
    ]
    for library in (PythonLibrary(), npm):
        refusals = library.refusals([(difference.secret, each) for each in deliveries])
        accepted = {why is None for why in refusals}
        assert accepted == {library.name in difference.accepted_by}, (library.name, refusals)


def test_the_page_tells_each_difference_and_no_other() -> None:
    section = PAGE.read_text().partition("\n## Libraries\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    told = {row: frozenset(re.findall("Python|npm", by)) for row, by, _ in rows[2:]}
    assert told == {
        each.row: frozenset(name.replace("python", "Python") for name in each.accepted_by)
        for each in DIFFERENCES
    }


@pytest.mark.django_db
def test_what_is_no_signature_beside_a_good_one_is_passed_over_but_not_by_the_python_library(
    npm: NpmLibrary,
) -> None:
    delivery = Letter(ID, int(time.time()), dumped(event())).signed_by_us()
    delivery.headers["webhook-signature"] = f"junk {delivery.headers['webhook-signature']}"
    assert Client().post(URL, **delivery.request).status_code == 202
    assert npm.refusals([(SECRET, delivery)]) == [None]
    [why] = PythonLibrary().refusals([(SECRET, delivery)])
    assert "not enough values to unpack" in str(why)
