"""`manage.py webhook`: what it prints, how it exits, and that it gives no secret away."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.management.commands.webhook import Command
from app.signature import decode_secret
from tests.factories import SECRET

BODY = '{"type": "post.created", "title": "Grüße"}\r\n\n'.encode()
OTHER = "whsec_" + b64encode(b"another secret, of 32 bytes too.").decode()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended that was started from a shell."""

    code: int
    out: str
    err: str


@pytest.fixture
def webhook(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs the command, and sees that it prints no secret."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        code = 0
        try:
            Command().run_from_argv(["manage.py", "webhook", *map(str, words)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        for secret in (SECRET, OTHER):
            assert secret[6:20] not in out + err
        return Ended(code, out, err)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "event.json"
    path.write_bytes(BODY)
    return path


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.write_text(f"{OTHER}, {SECRET}\n")
    return path


def headers(printed: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in printed.splitlines())


def test_a_new_secret_is_alone_on_the_output_and_the_way_to_put_it_in_beside_it(
    webhook: Callable[..., Ended],
) -> None:
    first, second = webhook("new-secret"), webhook("new-secret")
    assert re.fullmatch(r"whsec_\S{44}\n", first.out)
    assert len(decode_secret(first.out.strip())) == 32
    assert first.out != second.out
    assert "in front of" in first.err
    assert "webhook keys" in first.err
    assert first.out.strip() not in first.err


def test_what_is_signed_is_good_for_the_specifications_own_library(
    webhook: Callable[..., Ended], file: Path, settings: Any
) -> None:
    settings.WEBHOOK_SECRETS = [OTHER, SECRET]
    ended = webhook("sign", file)
    assert ended.code == 0
    signed = headers(ended.out)
    assert list(signed) == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    Webhook(OTHER).verify(BODY, signed)
    assert headers(webhook("sign", file).out)["webhook-id"] != signed["webhook-id"]


def test_the_secret_may_be_in_a_file_and_its_first_is_taken(
    webhook: Callable[..., Ended], file: Path, secret_file: Path, settings: Any
) -> None:
    settings.WEBHOOK_SECRETS = []
    signed = headers(webhook("sign", file, "--secret-file", secret_file).out)
    Webhook(OTHER).verify(BODY, signed)


def test_id_and_time_may_be_given_and_the_body_on_the_standard_input(
    webhook: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BODY)))
    signed = headers(webhook("sign", "-", "--id", "msg_1", "--timestamp", 1_700_000_000).out)
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    assert signed == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": Webhook(SECRET).sign("msg_1", at, BODY.decode()),
    }


@pytest.mark.parametrize("webhook_id", ["", "a\nb: c", "a" * 256, "{", "ü", "\udcff"], ids=ascii)
def test_an_id_that_no_delivery_can_have_is_wrong_usage(
    webhook: Callable[..., Ended], file: Path, webhook_id: str
) -> None:
    ended = webhook("sign", file, "--id", webhook_id)
    assert (ended.code, ended.out) == (2, "")
    assert "visible ASCII" in ended.err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "has no secret"),
        ("hunter2hunter2", "does not start with 'whsec_'"),
        (f"{SECRET[:-3]} {OTHER}", "not base64"),
        ("whsec_aHVudGVyMg==", "7 bytes"),
        (b"\xff\xfe", "no text file"),
        (None, "no text file"),
    ],
    ids=["empty", "no prefix", "cut off", "short", "binary", "missing"],
)
def test_a_secret_file_that_cannot_be_used_is_named_and_not_quoted(
    webhook: Callable[..., Ended], file: Path, tmp_path: Path, content: Any, complaint: str
) -> None:
    path = tmp_path / "its-secret"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = webhook("sign", file, "--secret-file", path)
    assert (ended.code, ended.out) == (2, "")
    assert str(path) in ended.err
    assert complaint in ended.err
    assert not re.search("hunter2|aHVudGVyMg", ended.err)


def test_without_any_secret_nothing_is_signed(
    webhook: Callable[..., Ended], file: Path, settings: Any
) -> None:
    settings.WEBHOOK_SECRETS = []
    ended = webhook("sign", file)
    assert ended.code == 2
    assert "WEBHOOK_SECRETS has no secret to sign with: give --secret-file." in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("sign", "file", SECRET),
        ("sign", "file", "--secret", SECRET),
        ("sign", "file", f"--secret-file={SECRET}"),
        ("send", "file", f"http://127.0.0.1:1/?key={SECRET}"),
        (SECRET,),
    ],
)
def test_a_secret_among_the_arguments_is_refused_and_not_repeated(
    webhook: Callable[..., Ended], words: tuple[str, ...]
) -> None:
    ended = webhook(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "--secret-file" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("unknown",),
        ("sign",),
        ("sign", "no-such-file"),
        ("sign", "."),
        ("sign", "manage.py", "--timestamp", "now"),
        ("sign", "manage.py", "--timestamp", "-5"),
        ("sign", "manage.py", "--timestamp", "1" * 13),
        ("send", "manage.py"),
        ("send", "manage.py", "http://127.0.0.1:1/", "--deadline", "0"),
        ("send", "manage.py", "http://127.0.0.1:1/", "--deadline", "1e300"),
    ],
)
def test_wrong_usage_ends_with_2(webhook: Callable[..., Ended], words: tuple[str, ...]) -> None:
    ended = webhook(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err


def test_a_standard_input_that_is_closed_is_wrong_usage(
    webhook: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    ended = webhook("sign", "-")
    assert (ended.code, ended.out) == (2, "")
    assert "standard input" in ended.err
