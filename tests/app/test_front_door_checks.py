from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks

from tests.factories import SECRET


def messages(prefix: str = "app.") -> list[Any]:
    return [message for message in run_checks() if str(message.id).startswith(prefix)]


def test_the_settings_of_the_tests_pass() -> None:
    assert messages() == []


def test_no_secret_at_all_is_a_warning(settings: Any) -> None:
    settings.WEBHOOK_SECRETS = []
    (message,) = messages()
    assert message.id == "app.W001"
    assert "401" in message.msg
    assert "whsec_" in message.hint


def test_each_malformed_secret_is_an_error_that_does_not_quote_it(settings: Any) -> None:
    settings.WEBHOOK_SECRETS = [SECRET, "whsec_c2hvcnQ=", "hunter2hunter2"]
    errors = messages()
    assert [error.id for error in errors] == ["app.E001", "app.E001"]
    assert "Secret 2 of 3" in errors[0].msg
    for error in errors:
        assert error.hint
        assert not any(word in str(error) for word in ("c2hvcnQ", "hunter2", SECRET))


def test_a_secret_that_is_there_twice_is_an_error(settings: Any) -> None:
    settings.WEBHOOK_SECRETS = [SECRET, "whsec_" + "QUJD" * 10, SECRET]
    (error,) = messages()
    assert error.id == "app.E001"
    assert "Secret 3 of 3" in error.msg
    assert "the same as number 1" in error.msg
    assert SECRET not in str(error)


def test_a_read_token_that_is_no_secret_or_cannot_be_sent_is_an_error(settings: Any) -> None:
    unusable = ["hunter2hunter2", "fifteen-letters", "sixteen-letters-\xfc", "=" * 16]
    settings.READ_TOKENS = ["sixteen-letters-", *unusable, "a-._~+/0123456789=="]
    errors = messages()
    assert [error.id for error in errors] == ["app.E003"] * len(unusable)
    assert "Token 2 of 6" in errors[0].msg
    for error in errors:
        assert error.hint
        assert not any(token in str(error) for token in settings.READ_TOKENS)


@pytest.mark.parametrize(
    "name",
    [
        "WEBHOOK_TOLERANCE_SECONDS",
        "WEBHOOK_MAX_BODY_BYTES",
        "WEBHOOK_DEDUPE_DAYS",
        "WEBHOOK_RETRY_HOURS",
    ],
)
@pytest.mark.parametrize("value", [0, -1, "7", None])
def test_a_limit_that_refuses_everything_is_an_error(
    settings: Any, name: str, value: object
) -> None:
    setattr(settings, name, value)
    (error,) = messages()
    assert error.id == "app.E002"
    assert name in error.msg
    assert error.hint


@pytest.mark.parametrize(
    "change",
    [
        {"WEBHOOK_RETRY_HOURS": 7 * 24},
        {"WEBHOOK_DEDUPE_DAYS": 3},
        {"WEBHOOK_TOLERANCE_SECONDS": 2 * 86_400},
    ],
    ids=repr,
)
def test_a_ledger_that_forgets_what_may_still_come_again_is_an_error(
    settings: Any, change: dict[str, int]
) -> None:
    for name, value in change.items():
        setattr(settings, name, value)
    (error,) = messages()
    assert error.id == "app.E004"
    assert "WEBHOOK_DEDUPE_DAYS" in error.msg
    assert "WEBHOOK_RETRY_HOURS" in error.hint
