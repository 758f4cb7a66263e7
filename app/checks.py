"""System checks of the front door's settings. None of them ever prints a secret."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from app.read_token import is_usable
from app.signature import MalformedSecret, decode_secret


@checks.register(checks.Tags.security)
def check_webhook_secrets(**_: Any) -> list[checks.CheckMessage]:
    """Secrets that cannot be used, or none at all."""
    secrets = settings.WEBHOOK_SECRETS
    if not secrets:
        return [
            checks.Warning(
                "WEBHOOK_SECRETS is empty: every delivery will be refused with 401.",
                hint="Set it to the sender's secrets, space-separated, newest first: "
                "whsec_ and the base64 of 24 to 64 random bytes.",
                id="app.W001",
            )
        ]
    faults: list[checks.CheckMessage] = []
    for number, secret in enumerate(secrets, start=1):
        try:
            decode_secret(secret)
        except MalformedSecret as error:
            faults.append(
                checks.Error(
                    f"Secret {number} of {len(secrets)} in WEBHOOK_SECRETS cannot be used: "
                    f"{error}.",
                    hint="A secret is whsec_ and the base64 of 24 to 64 random bytes; copy it "
                    "again from the sender.",
                    id="app.E001",
                )
            )
    return faults


@checks.register(checks.Tags.security)
def check_read_tokens(**_: Any) -> list[checks.CheckMessage]:
    """Tokens that no request can carry, or that could be guessed."""
    tokens = settings.READ_TOKENS
    return [
        checks.Error(
            f"Token {number} of {len(tokens)} in READ_TOKENS cannot be used: it is shorter than 16"
            " characters, or holds others than A-Z a-z 0-9 - . _ ~ + / and = at its end.",
            hint="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            id="app.E003",
        )
        for number, token in enumerate(tokens, start=1)
        if not is_usable(token)
    ]


@checks.register(checks.Tags.security)
def check_webhook_limits(**_: Any) -> list[checks.CheckMessage]:
    """Limits that would refuse everything, or nothing."""
    return [
        checks.Error(
            f"{name} is {getattr(settings, name)!r}, which is not a number above 0.",
            hint=f"Leave {name} out to take its default.",
            id="app.E002",
        )
        for name in ("WEBHOOK_TOLERANCE_SECONDS", "WEBHOOK_MAX_BODY_BYTES", "WEBHOOK_DEDUPE_DAYS")
        if not getattr(settings, name) > 0
    ]
