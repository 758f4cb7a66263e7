"""What the entry points do with the environment that they are given."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DATABASE_URL": "postgresql://127.0.0.1:1/pillarbox",
    "DJANGO_ALLOWED_HOSTS": "pillarbox.example",
    "DJANGO_SECRET_KEY": base64.b64encode(os.urandom(48)).decode(),
    "WEBHOOK_SECRETS": "whsec_" + base64.b64encode(os.urandom(32)).decode(),
}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_djangos_deployment_checks_find_nothing_in_production() -> None:
    result = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", ["relay", "postprocess", "check"])
def test_a_command_with_a_mistake_in_its_environment_says_so_and_no_more(command: str) -> None:
    result = run("manage.py", command, **{**PRODUCTION, "OUTBOX_LEASE_SECONDS": "soon"})
    assert result.returncode == 1
    assert "OUTBOX_LEASE_SECONDS must be a whole number" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"WEBHOOK_SECRETS": ""}, "WEBHOOK_SECRETS is not set"),
        ({"DATABASE_URL": "postgresql://nowhere"}, "DATABASE_URL must be a PostgreSQL URL"),
    ],
)
def test_a_web_server_with_a_mistake_in_its_environment_says_so_and_no_more(
    change: dict[str, str], complaint: str
) -> None:
    command = ("-m", "gunicorn", "-c", "settings/gunicorn.py", "settings.wsgi")
    result = run(*command, **{**PRODUCTION, **change})
    assert result.returncode == 1
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


MANGLED = {"WEBHOOK_SECRETS": "whsec_hunter2"}
WITHOUT_DATABASE = {"DJANGO_SETTINGS_MODULE": "settings.base"}


@pytest.mark.parametrize(
    "environment",
    [MANGLED, WITHOUT_DATABASE, MANGLED | WITHOUT_DATABASE, {**PRODUCTION, **MANGLED}],
    ids=["mangled", "settings.base", "settings.base, mangled", "production, mangled"],
)
def test_a_new_secret_is_made_and_signs_whatever_the_secrets_of_the_environment(
    environment: dict[str, str], tmp_path: Path
) -> None:
    made = run("manage.py", "webhook", "new-secret", **environment)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "secret"
    file.write_text(made.stdout)
    words = ("manage.py", "webhook", "sign", "manage.py")
    signed = run(*words, "--secret-file", str(file), **environment)
    assert signed.returncode == 0, signed.stderr
    assert "webhook-signature: v1," in signed.stdout
    assert run(*words, **environment).returncode == 2, "with what is not in the file"


def test_the_use_of_the_keys_is_not_told_without_a_database() -> None:
    result = run("manage.py", "webhook", "keys")
    assert result.returncode == 1
    assert "DATABASE_URL is not set" in result.stderr
    assert "Traceback" not in result.stderr


SHORT = "aHVudGVyMmh1bnRlcjI="


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "gunicorn", "-c", "settings/gunicorn.py", "settings.wsgi"),
        ("manage.py", "postprocess"),
        ("manage.py", "relay"),
        ("manage.py", "check"),
        ("-m", "celery", "-A", "settings", "worker"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_nothing_starts_with_a_secret_that_is_too_short_and_nothing_prints_it(
    command: tuple[str, ...],
) -> None:
    secrets = f"{PRODUCTION['WEBHOOK_SECRETS']} whsec_{SHORT}"
    broker = {"CELERY_BROKER_URL": "memory://"}
    result = run(*command, **{**PRODUCTION, **broker, "WEBHOOK_SECRETS": secrets})
    assert result.returncode == 1
    assert "WEBHOOK_SECRETS: secret number 2 cannot be used: it holds 14 bytes" in result.stderr
    for secret in secrets.split():
        assert secret.removeprefix("whsec_") not in result.stderr + result.stdout
