"""The libraries of Standard Webhooks for Python and for Node, asked in the same words."""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from app import signature
from tests.clients.node_project import NodeProject
from tests.factories import SECRET, Delivery


@dataclass(frozen=True, slots=True)
class Letter:
    """What a sender signs."""

    webhook_id: str
    timestamp: int
    body: bytes = field(repr=False)
    secret: str = field(default=SECRET, repr=False)

    def with_signature(self, signature: str) -> Delivery:
        return Delivery(
            self.body,
            {
                "webhook-id": self.webhook_id,
                "webhook-timestamp": str(self.timestamp),
                "webhook-signature": signature,
            },
        )

    def signed_by_us(self) -> Delivery:
        ours = signature.sign(self.secret, self.webhook_id, self.timestamp, self.body)
        return self.with_signature(ours)


class Library(Protocol):
    """A client of the webhook that knows nothing of this project."""

    name: str

    def signed(self, letters: Sequence[Letter]) -> list[Delivery]:
        """The letters, each with the headers that the library makes."""

    def refusals(self, received: Sequence[tuple[str, Delivery]]) -> list[str | None]:
        """Why each delivery is refused by the secret beside it; None if it is accepted."""


class PythonLibrary:
    name = "python"

    def signed(self, letters: Sequence[Letter]) -> list[Delivery]:
        return [letter.with_signature(self._sign(letter)) for letter in letters]

    def refusals(self, received: Sequence[tuple[str, Delivery]]) -> list[str | None]:
        return [self._refusal(secret, delivery) for secret, delivery in received]

    def _sign(self, letter: Letter) -> str:
        at = datetime.fromtimestamp(letter.timestamp, UTC)
        signed: str = Webhook(letter.secret).sign(letter.webhook_id, at, letter.body.decode())
        return signed

    def _refusal(self, secret: str, delivery: Delivery) -> str | None:
        try:
            Webhook(secret).verify(delivery.body, delivery.headers, json_parse=False)
        # The others are what it raises for a signature that it cannot take apart.
        except (WebhookVerificationError, binascii.Error, ValueError) as error:
            return str(error)
        return None


class NpmLibrary:
    name = "npm"

    def __init__(self, project: NodeProject) -> None:
        self._project = project

    def signed(self, letters: Sequence[Letter]) -> list[Delivery]:
        questions = [
            {
                "ask": "sign",
                "secret": letter.secret,
                "id": letter.webhook_id,
                "timestamp": letter.timestamp,
                "body": b64encode(letter.body).decode(),
            }
            for letter in letters
        ]
        answers = self._project.answers(questions)
        return [
            letter.with_signature(answer["signature"])
            for letter, answer in zip(letters, answers, strict=True)
        ]

    def refusals(self, received: Sequence[tuple[str, Delivery]]) -> list[str | None]:
        questions: list[dict[str, Any]] = [
            {
                "ask": "verify",
                "secret": secret,
                "headers": delivery.headers,
                "body": b64encode(delivery.body).decode(),
            }
            for secret, delivery in received
        ]
        return [answer["refused"] for answer in self._project.answers(questions)]
