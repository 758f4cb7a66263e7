"""The example of a configuration for nginx: what it takes on itself, and what it passes on."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from settings.variables import VARIABLES
from tests.factories import event
from tests.nginx.front import (
    EXAMPLE,
    INSIDE,
    NAME,
    Front,
    Installation,
    assert_problem,
    command,
    configure,
    running_nginx,
)
from tests.service import running

URL = "/webhooks/posts/"


def test_nginx_finds_no_fault_in_it(nginx: Installation, tmp_path: Path) -> None:
    configure(tmp_path, 8000)
    done = subprocess.run(
        command(nginx, tmp_path, "-t"),
        env=nginx.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "syntax is ok" in done.stderr
    assert "[warn]" not in done.stderr


def test_the_limit_of_a_body_is_that_of_the_settings() -> None:
    assert VARIABLES["WEBHOOK_MAX_BODY_BYTES"].default == str(1024 * 1024)
    assert EXAMPLE.read_text().count("client_max_body_size 1m;") == 1


def test_a_delivery_over_the_limit_is_refused_before_it_is_sent(alone: Front) -> None:
    answer = alone.ask("POST", URL, b"x", {"content-length": str(1024 * 1024 + 1)})
    assert_problem(answer, 413)


def test_while_nothing_is_behind_it_the_sender_is_asked_to_come_back(alone: Front) -> None:
    answer = alone.ask("POST", URL, b"{}")
    assert_problem(answer, 502)
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin",
        "/admin/login/",
        "/static/x",
        "/livez",
        "/readyz",
        "/posts/../admin/",
        "/posts/%2e%2e/admin/",
        "/posts/..%2Fadmin/login/",
        "/%61dmin/",
    ],
)
def test_what_is_for_inside_is_refused_outside(alone: Front, path: str) -> None:
    assert_problem(alone.ask("GET", path), 403)


@pytest.mark.parametrize("path", ["/admin/", "/livez", "/readyz"])
def test_what_is_for_inside_is_passed_on_from_there(alone: Front, path: str) -> None:
    assert_problem(alone.ask("GET", path, source=INSIDE), 502)


@pytest.mark.parametrize("path", ["/", "/nowhere/", "/administrator/", "//admin/", "/metrics"])
def test_there_is_nothing_else(alone: Front, path: str) -> None:
    assert_problem(alone.ask("GET", path), 404)


def test_plain_http_is_sent_to_https(alone: Front) -> None:
    answer = alone.ask("GET", "/posts/?q=1", tls=False)
    assert_problem(answer, 308)
    assert answer.headers["location"] == f"https://{NAME}/posts/?q=1"


def test_a_delivery_over_plain_http_is_refused(alone: Front) -> None:
    claim = {"x-forwarded-proto": "https"}
    assert_problem(alone.ask("POST", URL, b"{}", claim, tls=False), 403)


def test_a_request_is_passed_on_when_its_last_byte_is_there(
    nginx: Installation, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as behind:
        behind.settimeout(20)
        with (
            running_nginx(nginx, tmp_path, behind.getsockname()[1]) as front,
            front.connect() as slow,
            front.connect() as prompt,
        ):
            slow.sendall(head("slow") + b"12345")
            prompt.sendall(head("prompt") + b"1234567890")
            assert next_request(behind).startswith(b"POST /webhooks/prompt/ ")
            slow.sendall(b"67890")
            passed_on = next_request(behind)
    assert passed_on.startswith(b"POST /webhooks/slow/ ")
    assert b"\r\nX-Forwarded-Proto: https\r\n" in passed_on
    assert b"\r\nX-Forwarded-For: 127.0.0.2\r\n" in passed_on
    assert b"forged" not in passed_on
    assert b"X-Kept: yes" in passed_on


def head(name: str) -> bytes:
    claims = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix")
    others = ("X-Forwarded-Proto", "X-Forwarded-Ssl", "Forwarded", "Proxy", "X-Real-IP", "X_Kept")
    lines = [f"POST /webhooks/{name}/ HTTP/1.1", f"Host: {NAME}", "Content-Length: 10"]
    lines += [f"{claim}: forged" for claim in (*claims, *others)]
    return "\r\n".join([*lines, "X-Kept: yes", "", ""]).encode()


def next_request(behind: socket.socket) -> bytes:
    """What the next connection of nginx brings, with its body."""
    connection, _ = behind.accept()
    with connection:
        connection.settimeout(20)
        request = b""
        while not request.endswith(b"\r\n\r\n1234567890"):
            piece = connection.recv(65_536)
            assert piece, request
            request += piece
        return request


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.django_db(transaction=True)
def test_in_front_of_the_real_web_process(nginx: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "nginx"
    folder.mkdir()
    production = {
        "DJANGO_SETTINGS_MODULE": "settings.production",
        "DJANGO_ALLOWED_HOSTS": f"{NAME} 127.0.0.1 localhost",
    }
    with (
        running(tmp_path, only=("web",), **production) as service,
        running_nginx(nginx, folder, service.port) as front,
    ):
        body = json.dumps(event()).encode()
        signed = service.signed(body, "msg_1")
        accepted = front.ask("POST", URL, body, signed)
        assert accepted.status == 202
        status = front.ask("GET", accepted.headers["location"])
        assert (status.status, status.body["state"]) == (200, "pending")
        assert status.headers["strict-transport-security"] == "max-age=3600"
        assert status.headers["server"] == "nginx"

        # What a caller says of the scheme is overwritten, and what looks like it is dropped.
        assert service.ask("GET", "/posts/").status == 301
        for name in ("x-forwarded-proto", "x-forwarded-protocol", "x_forwarded_proto"):
            forged = front.ask("POST", URL, body, {**signed, name: "http"})
            assert (forged.status, forged.body) == (202, accepted.body), name
            forged = front.ask("GET", "/posts/", headers={name: "https"}, tls=False)
            assert forged.status == 308, name

        # An address is the same for both.
        told = front.ask("GET", "/admin/../posts/a%2F%2Fb%3Fc%25%20d").body["detail"]
        assert "/posts/a//b?c% d/" in told
        assert front.ask("GET", "/admin/login/").status == 403
        assert front.ask("GET", "/readyz", source=INSIDE).status == 200
