"""Sends the requests of a row, and tells what came of it."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from django.http import HttpResponse

from tests.app.problems import problem_of
from tests.front_door.page import Row
from tests.front_door.wire import Secrets, Sent, requests
from tests.service import Service
from tests.settings.raw import Reply, connect, log_of, replies, until_closed

DRIPS, DRIP_SECONDS = 200, 0.05
WHOLE = '""'  # a pointer, and no code on a page can be empty
NEXT = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a row led to, its rows in the database apart."""

    answers: str
    problem: tuple[str, ...]
    then: str


def react(web: Service, row: Row, secrets: Secrets) -> Reaction:
    """Send what the row says, each request on a connection of its own, and read to the end.

    Neither an answer nor the log may quote what is private, and no caller is worth a trace.
    """
    first: bytes | None = None
    for sent in requests(row.steps, secrets):
        raw = _exchange(web, sent, follow=not (row.waits or sent.hang_up))
        log = log_of(web).encode()
        assert [each for each in sent.private if each in raw or each in log] == []
        assert b"Traceback" not in log
        answers = replies(raw, head_only=sent.whole.startswith(b"HEAD "))
        then = "closed"
        if answers and answers[-1].status == 200:
            answers.pop()
            then = "open"
        last, earlier = (answers[-1].body if answers else None), first
        first = first or last
    told = ", ".join(str(each.status) for each in answers) or "none"
    if earlier is not None and earlier == last:
        told += " as before"
    return Reaction(told, _problem(answers), then)


def _exchange(web: Service, sent: Sent, *, follow: bool) -> bytes:
    """All that comes until the server closes. Fails when it does not, and for a reset."""
    with connect(web) as caller:
        caller.sendall(sent.whole + (NEXT if follow else b""))
        if sent.hang_up:
            caller.shutdown(socket.SHUT_WR)
        dripped = _drip(caller, sent.drip) if sent.drip else b""
        return dripped + until_closed(caller)


def _drip(caller: socket.socket, piece: bytes) -> bytes:
    patience = caller.gettimeout()
    for _ in range(DRIPS):
        caller.sendall(piece)
        caller.settimeout(DRIP_SECONDS)
        with suppress(TimeoutError):
            return caller.recv(65_536)
        caller.settimeout(patience)
    raise AssertionError("the server lets itself be dripped upon")


def _problem(answers: list[Reply]) -> tuple[str, ...]:
    """The kind of the last answer that bears a problem, and the pointers of its faults."""
    for answer in reversed(answers):
        if answer.status >= 400 and answer.body:
            response = HttpResponse(answer.body, answer.headers["content-type"], answer.status)
            document = problem_of(response, answer.status)
            pointers = [each["pointer"] or WHOLE for each in document.get("errors", [])]
            return document["type"].rpartition(":")[2], *pointers
    return ()
