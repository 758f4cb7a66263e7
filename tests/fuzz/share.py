"""The part of the requests that one process of senders sends, and what it found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.conversation import Answer, Conversation
from tests.fuzz.letter import PATH, Letter, letter
from tests.openapi_answers import Description

SENDERS = 4
"""Connections of one process."""
TOLD_FAULTS = 10


@dataclass(slots=True)
class Findings:
    """What came of requests. `faults` are those that must not be; `accepted` the message ids."""

    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    accepted: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        self.statuses += other.statuses
        self.kinds += other.kinds
        self.unanswered += other.unanswered
        self.accepted |= other.accepted
        self.faults = [*self.faults, *other.faults][:TOLD_FAULTS]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends requests by their numbers. It is handed to other processes as it is."""

    port: int
    secret: str
    seed: int
    document: dict[str, Any]

    def send(self, first: int, last: int) -> Findings:
        """Send the requests of these numbers, the last not among them."""
        description = Description(self.document)
        shares = [range(start, last, SENDERS) for start in range(first, min(first + SENDERS, last))]
        findings = Findings()
        with ThreadPoolExecutor(SENDERS) as pool:
            for found in pool.map(lambda numbers: self._send(numbers, description), shares):
                findings.add(found)
        return findings

    def _send(self, numbers: Iterable[int], description: Description) -> Findings:
        findings = Findings()
        conversation = Conversation(self.port)
        for number in numbers:
            sent = letter(self.document, self.seed, number, self.secret)
            findings.kinds[sent.kind] += 1
            try:
                answers = conversation.send(sent)
            except (OSError, ValueError, KeyError) as error:
                conversation.close()
                findings.faults.append(_told(number, sent, f"no answer: {error!r}"))
                continue
            findings.unanswered += not answers
            for answer in answers:
                findings.statuses[answer.status] += 1
                if answer.status == 202:
                    findings.accepted.add(json.loads(answer.body)["message_id"])
                findings.faults += [
                    _told(number, sent, fault) for fault in _faults(sent, answer, description)
                ]
        conversation.close()
        return findings


def _faults(sent: Letter, answer: Answer, description: Description) -> list[str]:
    faults = description.faults("POST", PATH, answer.status, answer.headers, answer.body)
    if answer.status >= 500 and answer.status != 503:
        faults.append(f"answered with {answer.status}")
    if sent.kind == "honest" and answer.status not in (202, 503):
        faults.append(f"an honest request is answered with {answer.status}: {answer.body[:300]!r}")
    if sent.kind in ("unproven", "method") and answer.status == 202:
        faults.append("accepted without proof")
    return faults


def _told(number: int, sent: Letter, fault: str) -> str:
    return f"request {number} ({sent.kind}): {fault}; sent {sent.wire[:300]!r}"
