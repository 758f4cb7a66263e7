"""`manage.py webhook`: the secrets of the webhook, and deliveries for a trial."""

from __future__ import annotations

import json
import re
import sys
from base64 import b64encode
from contextlib import suppress
from datetime import UTC
from http.client import HTTPException
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from app.key_use import KeyUse, key_uses
from app.management import signing
from app.management.exchange import LONGEST_ANSWER, Address, Answer, post
from app.signature import SECRET_PREFIX
from outbox.management.polling import positive

if TYPE_CHECKING:
    import argparse

NEW_SECRET_BYTES = 32
DEADLINE_SECONDS = 15.0
SHOWN_HEADERS = ("content-type", "location", "retry-after", "allow", "www-authenticate")
# 24 bytes are 32 characters: no shorter text can be a secret.
_SECRET = re.compile(SECRET_PREFIX + r"[A-Za-z0-9+/=_-]{32}")

HOW_TO_PUT_IT_IN = """\
This is a new secret, shown once. To put it in the place of another:
  1. Write it into WEBHOOK_SECRETS (or the file of WEBHOOK_SECRETS_FILE) in front of those that are
     there, with a space between, and restart the web processes: all of them are accepted.
  2. Give it to the sender.
  3. Watch `manage.py webhook keys` until the old one is no longer used. Then take it out, and
     restart the web processes.
"""
NO_SECRETS = (
    "No WEBHOOK_SECRETS are given to this process, so it cannot tell which keys are among them:"
    " give it WEBHOOK_SECRETS or WEBHOOK_SECRETS_FILE, as the web processes have it."
)


class Command(BaseCommand):
    help = "Make, try and watch the secrets of the webhook."
    # A secret that is wrong may be why a new one is wanted.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        verbs.add_parser("new-secret", help="print a new secret, and how to put it in")
        verbs.add_parser("keys", help="how many deliveries each secret has signed, and when last")
        signing.arguments(verbs.add_parser("sign", help="print the headers of a delivery"))
        send = verbs.add_parser(
            "send", help="sign and post a delivery: exit 0 if the answer is 2xx, 1 if not"
        )
        signing.arguments(send)
        send.add_argument("url", metavar="URL", help="http:// or https://, with the path")
        send.add_argument(
            "--deadline",
            type=positive(float),
            default=DEADLINE_SECONDS,
            metavar="SECONDS",
            help="in which the whole answer must be there (default: %(default)g)",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        # What argparse does not understand it repeats on the terminal, and in a log.
        if any(_SECRET.search(word) for word in argv):
            self.stderr.write(
                "A secret is never an argument: others on this machine can read those. Put it into"
                " a file and give --secret-file; and since it has been seen, replace it."
            )
            sys.exit(2)
        super().run_from_argv(argv)

    def handle(self, *_args: Any, **options: Any) -> None:
        getattr(self, options["verb"].replace("-", "_"))(options)

    def new_secret(self, _options: dict[str, Any]) -> None:
        """Print a secret, alone on the standard output so that it can be sent to a file."""
        self.stdout.write(SECRET_PREFIX + b64encode(token_bytes(NEW_SECRET_BYTES)).decode())
        self.stderr.write(HOW_TO_PUT_IT_IN, style_func=str)

    def keys(self, _options: dict[str, Any]) -> None:
        """Print what the ledger knows of each secret, newest first, and of keys that are gone."""
        try:
            ours, others = key_uses(settings.WEBHOOK_SECRETS)
        except DatabaseError as error:
            raise CommandError(f"The ledger cannot be read: {str(error).strip()}") from error
        if not ours:
            self.stderr.write(NO_SECRETS, style_func=str)
        self.stdout.write(f"{'fingerprint':<16}{'accepted':>12}  {'last used':<20}  secret")
        for number, use in enumerate(ours, start=1):
            self._line(use, f"{number}{', the newest' if number == 1 else ''}")
        unknown = "not in WEBHOOK_SECRETS" if ours else "?"
        for use in others:
            self._line(use, unknown if use.fingerprint else "not noted")

    def _line(self, use: KeyUse, note: str) -> None:
        last = f"{use.last_used.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if use.last_used else "never"
        self.stdout.write(f"{use.fingerprint or '-':<16}{use.accepted:>12}  {last:<20}  {note}")

    def sign(self, options: dict[str, Any]) -> None:
        """Print the headers that make a file a delivery."""
        for name, value in signing.headers(options, signing.content(options)).items():
            self.stdout.write(f"{name}: {value}")

    def send(self, options: dict[str, Any]) -> None:
        """Sign a file, post it, and print the answer."""
        try:
            address = Address.of(options["url"])
        except ValueError as error:
            raise signing.wrong_usage(f"The URL cannot be used: {error}.") from None
        body = signing.content(options)
        signed = signing.headers(options, body)
        self.stdout.write(f"sending {signed['webhook-id']} to {options['url']}")
        headers = {"content-type": "application/json", **signed}
        try:
            answer = post(address, headers, body, deadline=options["deadline"])
        except (OSError, HTTPException, ValueError) as error:
            reason = _plain(str(error).strip()) or type(error).__name__
            raise CommandError(f"No answer from {options['url']}: {reason}.") from error
        self._show(answer)
        if not 200 <= answer.status < 300:
            raise CommandError(f"It was not accepted: the answer is {answer.status}.")

    def _show(self, answer: Answer) -> None:
        self.stdout.write(f"{answer.status} {_plain(answer.reason)} in {answer.seconds:.3f} s")
        for name in SHOWN_HEADERS:
            if name in answer.headers:
                self.stdout.write(f"{name}: {_plain(answer.headers[name])}")
        text = answer.body.decode("utf-8", "replace")
        with suppress(ValueError, RecursionError):  # what is no JSON is shown as it came
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        if text:
            self.stdout.write(_plain(text))
        if answer.more:
            self.stdout.write(f"(there is more: {LONGEST_ANSWER} bytes of it are shown)")


def _plain(text: str) -> str:
    """Without what a terminal would obey: the text is a stranger's."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)
