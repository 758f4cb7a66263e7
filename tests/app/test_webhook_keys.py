"""`manage.py webhook keys`: what each secret has signed."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from app.signature import decode_secret, fingerprint
from tests.factories import SECRET, WebhookDeliveryFactory, signed_delivery

OTHER = "whsec_" + b64encode(b"another secret, of 32 bytes too.").decode()


def keys() -> list[list[str]]:
    """The lines below the heading, in columns."""
    out = StringIO()
    call_command("webhook", "keys", stdout=out)
    heading, *lines = out.getvalue().splitlines()
    assert re.split(r"\s{2,}", heading) == ["fingerprint", "accepted", "last used", "secret"]
    return [re.split(r"\s{2,}", line) for line in lines]


@pytest.mark.django_db
def test_keys_tell_what_each_secret_has_signed_and_what_signed_besides(settings: Any) -> None:
    unused = "whsec_" + b64encode(b"a secret that is not used so far").decode()
    settings.WEBHOOK_SECRETS = [unused, SECRET]
    for secret, day in ((SECRET, 1), (SECRET, 3), (SECRET, 2), (OTHER, 4), (None, 1)):
        WebhookDeliveryFactory(
            key=fingerprint(decode_secret(secret)) if secret else "",
            received_at=datetime(2026, 1, day, 12, 30, tzinfo=UTC),
        )
    assert keys() == [
        [fingerprint(decode_secret(unused)), "0", "never", "1, the newest"],
        [fingerprint(decode_secret(SECRET)), "3", "2026-01-03 12:30:00Z", "2"],
        [fingerprint(decode_secret(OTHER)), "1", "2026-01-04 12:30:00Z", "not in WEBHOOK_SECRETS"],
        ["-", "1", "2026-01-01 12:30:00Z", "not noted"],
    ]


@pytest.mark.django_db
def test_keys_know_the_deliveries_that_the_webhook_has_accepted(send: Any, settings: Any) -> None:
    settings.WEBHOOK_SECRETS = [OTHER, SECRET]
    for secret in (OTHER, SECRET, SECRET):
        assert send(signed_delivery(secret=secret)).status_code == 202
    assert [(line[1], line[3]) for line in keys()] == [("1", "1, the newest"), ("2", "2")]


@pytest.mark.django_db
def test_without_secrets_to_compare_with_no_key_is_said_to_be_none_of_them(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    WebhookDeliveryFactory(key=fingerprint(decode_secret(SECRET)))
    settings.WEBHOOK_SECRETS = []
    assert [line[-1] for line in keys()] == ["?"]
    assert "give it WEBHOOK_SECRETS or WEBHOOK_SECRETS_FILE" in capsys.readouterr().err
    settings.WEBHOOK_SECRETS = [SECRET]
    assert [line[-1] for line in keys()] == ["1, the newest"]
    assert capsys.readouterr().err == ""
