"""Messages of the poisoned kind: written by number, and asked after."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from django.core.management import call_command
from django.db import transaction

import outbox
from outbox.models import HistoryMessage, OutboxMessage
from tests.promises.poison import work
from tests.sql import query

HALF, WHOLE = ["prepare"], ["prepare", "task"]
"""The effects of a message that is prepared, and of one that is done."""


class Letters:
    """The messages that a test has sent, by number; each number is one message."""

    def __init__(self) -> None:
        self.sent: dict[int, outbox.Message] = {}

    def post(self, *harms: str, event_type: str = work.NAME) -> list[int]:
        """Store messages in one transaction, each with its harm ("" for none)."""
        first = len(self.sent)
        numbers = [*range(first, first + len(harms))]
        with transaction.atomic():
            for number, harm in zip(numbers, harms, strict=True):
                self.sent[number] = outbox.add(event_type, number=number, harm=harm)
        return numbers

    def row(self, number: int) -> OutboxMessage:
        return OutboxMessage.objects.get(pk=self.sent[number].id)

    def done(self, numbers: Iterable[int]) -> bool:
        wanted = [self.sent[number].id for number in numbers]
        return HistoryMessage.objects.filter(pk__in=wanted).count() == len(wanted)

    def state(self, *numbers: int) -> set[str]:
        wanted = [self.sent[number].id for number in numbers]
        return {*OutboxMessage.objects.filter(pk__in=wanted).values_list("state", flat=True)}

    def attempts(self, numbers: Iterable[int]) -> list[int]:
        """The tries that failed, of messages that are done."""
        wanted = [self.sent[number].id for number in numbers]
        found = HistoryMessage.objects.filter(pk__in=wanted).order_by("attempts")
        return [*found.values_list("attempts", flat=True)]

    def shown(self, number: int) -> str:
        """What an operator sees of one."""
        out = StringIO()
        call_command("outbox", "show", str(self.sent[number].id), stdout=out)
        return out.getvalue()

    def requeue(self, *numbers: int) -> None:
        call_command("outbox", "requeue", *(str(self.sent[n].id) for n in numbers))


def effects() -> dict[int, list[str]]:
    """What was done for each number, in order of the steps' names."""
    found: dict[int, list[str]] = {}
    for number, step in query("SELECT number, step FROM poison_effect ORDER BY number, step"):
        found.setdefault(number, []).append(step)
    return found


def make_due() -> None:
    """Let what waits for its next try have it now."""
    query(
        "UPDATE outbox_message SET due_at = now() WHERE id IN (SELECT id FROM outbox_message"
        " WHERE state IN ('pending', 'ready') AND lease_token IS NULL AND due_at > now()"
        " FOR NO KEY UPDATE SKIP LOCKED)"
    )
