"""The libraries of Standard Webhooks as senders: what they sign is accepted."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.clients.letters import EVENTS, NO_EVENTS, every_kind_of_event, letters, secret_of
from tests.clients.libraries import Letter, Library, NpmLibrary, PythonLibrary
from tests.factories import SECRET, Delivery
from tests.service import running

URL = "/webhooks/posts/"
LETTER = Letter("msg_1", 0, EVENTS["ascii"])


@pytest.mark.django_db
def test_every_event_that_a_library_signs_is_accepted(library: Library, settings: Any) -> None:
    kinds = every_kind_of_event()
    answers = {}
    for (name, letter), delivery in zip(
        kinds.items(), library.signed(list(kinds.values())), strict=True
    ):
        settings.WEBHOOK_SECRETS = [letter.secret]
        answers[name] = Client().post(URL, **delivery.request).status_code
    assert {name: status for name, status in answers.items() if status != 202} == {}


def test_what_a_library_signs_is_known_to_be_signed_though_it_is_no_event(
    library: Library,
) -> None:
    kinds = letters(NO_EVENTS)
    answers = {}
    for name, delivery in zip(kinds, library.signed(list(kinds.values())), strict=True):
        # Django's client leaves the type out where there is no body.
        headers = {**delivery.headers, "content-type": "application/json"}
        answers[name] = Client().post(URL, delivery.body, "", headers=headers).status_code
    assert {name: status for name, status in answers.items() if status not in {400, 422}} == {}


@pytest.mark.django_db
@pytest.mark.parametrize("signer", [0, 1, 2], ids=["newest", "older", "oldest"])
def test_while_secrets_are_rotated_each_of_ours_is_enough(
    library: Library, settings: Any, signer: int
) -> None:
    settings.WEBHOOK_SECRETS = [secret_of(24), secret_of(32), secret_of(64)]
    letter = replace(LETTER, timestamp=int(time.time()), secret=settings.WEBHOOK_SECRETS[signer])
    [delivery] = library.signed([letter])
    assert Client().post(URL, **delivery.request).status_code == 202


@pytest.mark.django_db
def test_while_secrets_are_rotated_one_of_theirs_is_enough(library: Library) -> None:
    letter = replace(LETTER, timestamp=int(time.time()))
    each = [replace(letter, secret=secret) for secret in (secret_of(24), SECRET, secret_of(64))]
    signatures = [one.headers["webhook-signature"] for one in library.signed(each)]
    joined = letter.with_signature(" ".join(["v1a,AAAA", *signatures]))
    assert Client().post(URL, **joined.request).status_code == 202


def test_what_we_sign_a_library_accepts(library: Library) -> None:
    kinds = every_kind_of_event() | letters(NO_EVENTS)
    ours: list[tuple[str, Delivery]] = [
        (letter.secret, letter.signed_by_us()) for letter in kinds.values()
    ]
    refusals = dict(zip(kinds, library.refusals(ours), strict=True))
    assert {name: why for name, why in refusals.items() if why is not None} == {}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_real_web_process_accepts_what_the_libraries_sign(
    tmp_path: Path, npm: NpmLibrary
) -> None:
    names = ("least", "unicode", "CRLF between", "blanks around", "of full size")
    with running(tmp_path, only=("web",)) as service:
        for library in (PythonLibrary(), npm):
            mine = [
                Letter(f"{library.name}/{n}", int(time.time()), EVENTS[name], service.secret)
                for n, name in enumerate(names)
            ]
            for delivery in library.signed(mine):
                headers = {**delivery.headers, "content-type": "application/json"}
                answer = service.ask("POST", URL, delivery.body, **headers)
                assert answer.status == 202, delivery.headers
