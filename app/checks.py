"""System checks of the front door's settings. None of them ever prints a secret."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from app import retry_horizon, signature
from app.read_token import is_usable

_LIMITS = (
    "WEBHOOK_TOLERANCE_SECONDS",
    "WEBHOOK_MAX_BODY_BYTES",
    "WEBHOOK_DEDUPE_DAYS",
    "WEBHOOK_RETRY_HOURS",
    "WEBHOOK_MAX_BACKLOG",
    "WEBHOOK_MAX_BACKLOG_SECONDS",
)


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
    return [
        checks.Error(
            f"Secret {place} of {len(secrets)} in WEBHOOK_SECRETS cannot be used: {fault}.",
            hint="A secret is whsec_ and the base64 of 24 to 64 random bytes; copy it again from "
            "the sender, or make one: manage.py webhook new-secret.",
            id="app.E001",
        )
        for place, fault in signature.faults(secrets)
    ]


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
    """Limits that would refuse everything, or nothing, and a ledger that forgets too early."""
    useless = [name for name in _LIMITS if not _is_positive(getattr(settings, name))]
    if useless:
        return [
            checks.Error(
                f"{name} is {getattr(settings, name)!r}, which is not a number above 0.",
                hint=f"Leave {name} out to take its default.",
                id="app.E002",
            )
            for name in useless
        ]
    fault = retry_horizon.fault(
        dedupe_days=settings.WEBHOOK_DEDUPE_DAYS,
        retry_hours=settings.WEBHOOK_RETRY_HOURS,
        tolerance_seconds=settings.WEBHOOK_TOLERANCE_SECONDS,
    )
    if fault is None:
        return []
    return [
        checks.Error(
            fault,
            hint="Raise WEBHOOK_DEDUPE_DAYS, or set WEBHOOK_RETRY_HOURS to how long your senders "
            "really try again.",
            id="app.E004",
        )
    ]


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
