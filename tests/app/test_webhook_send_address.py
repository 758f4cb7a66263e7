"""`manage.py webhook send`: where it sends to, and where it does not."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.management.exchange import Address
from tests.app.answering import ACCEPTED, answering, read_request, reply
from tests.service import free_port


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x1b]0;pwned\x07\r\n",
        b"HTTP/\x1b[2J 200 OK\r\n\r\n",
    ],
    ids=repr,
)
def test_what_is_no_answer_is_told_as_none(send_file: Any, garbage: bytes) -> None:
    with answering(garbage) as server:
        code, printed = send_file(server.url)
    assert code == 1
    assert f"No answer from {server.url}: " in printed
    assert all(each.isprintable() or each == "\n" for each in printed)


@pytest.mark.parametrize(
    "answer",
    [
        b"content-length: 50\r\n\r\nabc",
        b"content-length: 50\r\n\r\n",
        b"content-length: 99999\r\n\r\n" + b"x" * 99,
        b"transfer-encoding: chunked\r\n\r\n50\r\nabc",
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_an_answer_that_is_cut_short_is_none(send_file: Any, answer: bytes) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n" + answer) as server:
        code, printed = send_file(server.url)
    assert code == 1
    assert f"No answer from {server.url}: " in printed
    assert "200 OK" not in printed


@pytest.mark.parametrize(("size", "told"), [(65_536, False), (65_537, True), (200_000, True)])
def test_what_is_left_out_of_a_long_answer_is_told(send_file: Any, size: int, told: bool) -> None:
    with answering(reply(b"200 OK", b"x" * size)) as server:
        code, printed = send_file(server.url)
    assert (code, printed.count("x" * 65_536)) == (0, 1)
    assert ("(there is more: 65536 bytes" in printed) is told


def test_nobody_listening_is_told(send_file: Any) -> None:
    code, printed = send_file(f"http://127.0.0.1:{free_port()}/")
    assert code == 1
    assert "refused" in printed


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and its own certificate, which nobody trusts so far."""
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = "req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=localhost"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)]
    subprocess.run(
        ["openssl", *words.split(), *options], capture_output=True, timeout=30, check=True
    )
    return path


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")
def test_https_is_taken_from_those_with_a_trusted_certificate_alone(
    send_file: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    requests = []

    def answer(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as secured:
            requests.append(read_request(secured))
            secured.sendall(ACCEPTED)

    with answering(answer) as server:
        url = server.url.replace("http", "https")
        code, printed = send_file(url)
        assert (code, "certificate verify failed" in printed, requests) == (1, True, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert send_file(url)[0] == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/webhooks/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://user:hunter2@127.0.0.1/",
        "http://user:hunter2\u2100@127.0.0.1/",
        "http://user:hunter2/",
        "http://127.0.0.1:70000/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/ü",
    ],
)
def test_an_address_that_is_none_is_wrong_usage(send_file: Any, url: str) -> None:
    code, printed = send_file(url)
    assert code == 2
    assert printed.startswith("The URL cannot be used: ")
    assert "hunter2" not in printed


def test_an_address_of_version_6_keeps_its_colons() -> None:
    address = Address.of("http://[::1]/hook")
    assert (address.host, address.port, address.target) == ("::1", 80, "/hook")
    assert Address.of("https://example.org").port == 443
