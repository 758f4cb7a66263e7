from __future__ import annotations

import base64
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from settings import document, env
from settings.variables import VARIABLES

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql:///pillarbox")


def complaints(process: str = "command", *, production: bool = False) -> list[str]:
    with pytest.raises(ImproperlyConfigured) as caught:
        env.check(process, production=production)
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=VARIABLES)
def test_every_default_is_a_value_that_is_accepted(
    variable: env.Variable, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable.default:
        monkeypatch.setenv(variable.name, variable.default)
    env.check("command")


def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOX_LEASE_SECONDS", "  ")
    assert env.integer("OUTBOX_LEASE_SECONDS") == 60


def test_a_variable_may_be_given_as_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a key\n")
    monkeypatch.setenv("DJANGO_SECRET_KEY_FILE", str(file))
    assert env.text("DJANGO_SECRET_KEY") == "a key"


def test_a_file_that_cannot_be_read_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS_FILE", str(tmp_path / "missing"))
    assert any("WEBHOOK_SECRETS_FILE" in line for line in complaints())


@pytest.mark.parametrize("separator", [" ", "\n", ", ", "  \t"])
def test_words_are_separated_by_space_or_comma(
    monkeypatch: pytest.MonkeyPatch, separator: str
) -> None:
    monkeypatch.setenv("READ_TOKENS", separator.join(["one", "two"]))
    assert env.words("READ_TOKENS") == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTBOX_LEASE_SECONDS", "soon"),
        ("OUTBOX_LEASE_SECONDS", "1.5"),
        ("OUTBOX_MAX_ATTEMPTS", "0"),
        ("WEBHOOK_DEDUPE_DAYS", "-1"),
        ("PORT", "65536"),
        ("DJANGO_SSL_REDIRECT", "perhaps"),
        ("DJANGO_LOG_LEVEL", "LOUD"),
        ("WEBHOOK_UNKNOWN_FIELDS", "refused"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    [line] = complaints()
    assert name in line


@pytest.mark.parametrize("secret", ["hunter2", "whsec_hunter2", "whsec_aHVudGVyMg==", SECRET])
def test_a_bad_webhook_secret_is_refused_by_its_place_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRETS", f"{SECRET} {secret}")
    [line] = complaints()
    assert "WEBHOOK_SECRETS: secret number 2" in line
    assert secret not in line


def test_a_read_token_that_could_be_guessed_is_refused_by_its_place_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("READ_TOKENS", "sixteen-letters- fifteen-letters")
    [line] = complaints()
    assert "READ_TOKENS: token number 2" in line
    assert "letters" not in line


def test_history_shorter_than_dedupe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOX_HISTORY_DAYS", "6")
    [line] = complaints()
    assert "OUTBOX_HISTORY_DAYS (6) must be at least WEBHOOK_DEDUPE_DAYS (7)" in line


@pytest.mark.parametrize(
    ("days", "hours", "tolerance", "least"),
    [
        ("3", "76", "300", 4),
        ("7", "168", "300", 8),
        ("1", "1", "43200", 2),
        ("4", "95", "1801", 5),
    ],
)
def test_a_ledger_that_forgets_what_may_still_come_again_is_refused(
    monkeypatch: pytest.MonkeyPatch, days: str, hours: str, tolerance: str, least: int
) -> None:
    monkeypatch.setenv("WEBHOOK_DEDUPE_DAYS", days)
    monkeypatch.setenv("WEBHOOK_RETRY_HOURS", hours)
    monkeypatch.setenv("WEBHOOK_TOLERANCE_SECONDS", tolerance)
    [line] = complaints()
    assert f"WEBHOOK_DEDUPE_DAYS ({days}) must be at least {least}" in line
    assert "WEBHOOK_RETRY_HOURS" in line
    assert "WEBHOOK_TOLERANCE_SECONDS" in line
    monkeypatch.setenv("WEBHOOK_DEDUPE_DAYS", str(least))
    env.check("command")


def test_a_ledger_that_lasts_exactly_as_long_as_needed_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEBHOOK_DEDUPE_DAYS", "4")
    monkeypatch.setenv("WEBHOOK_RETRY_HOURS", "95")
    monkeypatch.setenv("WEBHOOK_TOLERANCE_SECONDS", "1800")
    env.check("command")


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOX_LEASE_SECONDS", "x")
    monkeypatch.setenv("PORT", "y")
    monkeypatch.delenv("DATABASE_URL")
    named = {line.split()[0] for line in complaints()}
    assert named == {"DATABASE_URL", "OUTBOX_LEASE_SECONDS", "PORT"}


@pytest.mark.parametrize("process", ["relay", "worker"])
def test_the_broker_is_required_by_those_who_talk_to_it(process: str) -> None:
    [line] = complaints(process)
    assert "CELERY_BROKER_URL" in line


def test_in_production_the_secrets_are_required_by_the_web_process_alone() -> None:
    named = {line.split()[0] for line in complaints("web", production=True)}
    assert named == {"WEBHOOK_SECRETS", "DJANGO_SECRET_KEY", "DJANGO_ALLOWED_HOSTS"}
    env.check("postprocess", production=True)


def test_a_variable_that_is_not_declared_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        env.text("UNDECLARED")


def test_the_page_of_the_settings_is_up_to_date() -> None:
    written = document.DOCUMENT.read_text()
    assert written == document.markdown(), "Run: python -m settings.document"
