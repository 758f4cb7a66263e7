"""What the settings of production make of an answer, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "settings.production",
    "DATABASE_URL": "postgresql://127.0.0.1:1/x",
    "CELERY_BROKER_URL": "memory://",
    "DJANGO_ALLOWED_HOSTS": "posts.example.org",
    "DJANGO_SECRET_KEY": "a key of these tests, with 50 characters or so in it!",
    "WEBHOOK_SECRETS": "whsec_" + b64encode(bytes(range(32))).decode(),
    # What would turn it on elsewhere.
    "DEBUG": "1",
    "DJANGO_DEBUG": "true",
}
ASK = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client

def told(path, **how):
    client = Client(SERVER_NAME="posts.example.org", raise_request_exception=False)
    response = client.get(path, **how)
    cookies = {name: dict(cookie) for name, cookie in client.cookies.items()}
    return [response.status_code, dict(response.headers), cookies, response.content.decode()]

print(json.dumps({
    "settings": {name: getattr(settings, name) for name in (
        "DEBUG", "DEBUG_PROPAGATE_EXCEPTIONS", "SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY",
        "SESSION_COOKIE_SAMESITE", "SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST",
        "USE_X_FORWARDED_PORT")},
    "plain": told("/posts/?q=1"),
    "claims tls": told("/posts/", headers={"x-forwarded-proto": "https"}),
    "probe": told("/livez"),
    "tls": told("/livez", secure=True),
    "login": told("/admin/login/", secure=True),
    "fault": told("/admin/r/1/1/", secure=True, headers={"cookie": "sessionid=" + "x" * 32}),
}))
"""


@cache
def production() -> dict[str, Any]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env=inherited | ENVIRONMENT,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_nothing_in_the_environment_turns_debugging_on() -> None:
    assert production()["settings"]["DEBUG"] is False
    assert production()["settings"]["DEBUG_PROPAGATE_EXCEPTIONS"] is False


def test_plain_http_is_sent_to_https_but_for_probes() -> None:
    status, headers, _, _ = production()["plain"]
    assert (status, headers["Location"]) == (301, "https://posts.example.org/posts/?q=1")
    assert "Content-Security-Policy" in headers
    assert production()["probe"][0] == 200


def test_a_header_that_anybody_can_send_is_no_proof_of_tls() -> None:
    settings = production()["settings"]
    assert settings["SECURE_PROXY_SSL_HEADER"] is None
    assert not settings["USE_X_FORWARDED_HOST"]
    assert not settings["USE_X_FORWARDED_PORT"]
    assert production()["claims tls"][0] == 301


def test_browsers_are_told_to_stay_with_https() -> None:
    assert production()["tls"][1]["Strict-Transport-Security"] == "max-age=3600"


def test_cookies_are_for_https_alone_and_that_of_the_session_for_no_script() -> None:
    status, _, cookies, _ = production()["login"]
    assert status == 200
    assert cookies["csrftoken"]["secure"] is True
    settings = production()["settings"]
    assert settings["SESSION_COOKIE_SECURE"] is True
    assert settings["SESSION_COOKIE_HTTPONLY"] is True
    assert settings["SESSION_COOKIE_SAMESITE"] == "Lax"


def test_a_fault_in_a_page_of_the_admin_is_told_without_its_cause() -> None:
    status, headers, _, page = production()["fault"]  # its database is not there
    assert status == 500
    assert headers["Content-Security-Policy"]
    for word in ("Traceback", "OperationalError", "127.0.0.1", "settings"):
        assert word not in page
