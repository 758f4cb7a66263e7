"""What `manage.py webhook` signs: a file, as a delivery."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from app.signature import TIMESTAMP, MalformedSecret, is_id, sign


def wrong_usage(message: str) -> CommandError:
    """What was given on the command line, or left out, cannot be used: exit 2."""
    return CommandError(message, returncode=2)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be signed, and how."""
    parser.add_argument("file", metavar="FILE", help="the body, byte for byte; - for stdin")
    parser.add_argument(
        "--secret-file",
        type=Path,
        metavar="PATH",
        help="sign with the first secret in this file (default: the newest of WEBHOOK_SECRETS)",
    )
    parser.add_argument("--id", help="webhook-id (default: a new one); the same for every try")
    parser.add_argument(
        "--timestamp", type=_timestamp, metavar="SECONDS", help="since 1970 (default: now)"
    )


def _timestamp(text: str) -> int:
    if not TIMESTAMP.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 to 12 digits")
    return int(text)


def headers(options: dict[str, Any], body: bytes) -> dict[str, str]:
    """The three headers. The id is checked here: a line end in it would be a header more."""
    webhook_id = f"msg_{uuid.uuid4().hex}" if options["id"] is None else options["id"]
    if not is_id(webhook_id):
        raise wrong_usage("An id has 1 to 255 visible ASCII characters, and no braces.")
    timestamp = int(time.time()) if options["timestamp"] is None else options["timestamp"]
    source, secrets = _secrets(options["secret_file"])
    if not secrets:
        raise wrong_usage(f"{source} has no secret to sign with: give --secret-file.")
    try:
        signature = sign(secrets[0], webhook_id, timestamp, body)
    except MalformedSecret as error:
        raise wrong_usage(f"The first secret of {source} cannot be used: {error}.") from None
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def _secrets(path: Path | None) -> tuple[str, list[str]]:
    """Secrets, newest first, and where they are from."""
    if path is None:
        return "WEBHOOK_SECRETS", settings.WEBHOOK_SECRETS
    try:
        return str(path), path.read_text().replace(",", " ").split()
    except (OSError, UnicodeDecodeError):
        raise wrong_usage(f"{path} is no text file that this process may read.") from None


def content(options: dict[str, Any]) -> bytes:
    """The bytes of the file that is to be signed."""
    path = options["file"]
    if path == "-" and sys.stdin is None:
        raise wrong_usage("There is no standard input to read: it is closed.")
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise wrong_usage(f"{path} cannot be read: {error.strerror}.") from None
