"""Many requests against the real web process, and what may not become of them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

from tests.fuzz.share import Findings, Sender
from tests.service import Service
from tests.sql import count, query

PROCESSES = 2
STEP = 1_000
"""Requests after which a worker is warm: what it holds then is what it may not grow beyond."""
GROWTH_KIB = 16 * 1024
LONGEST_SECONDS = 1_800.0
NONE = "not compared, there were no more than these"
ENVIRONMENT = {
    "WEB_CONCURRENCY": "2",
    "WEB_BODY_SECONDS": "2",
    # Nobody works what is accepted here.
    "WEBHOOK_MAX_BACKLOG": "250000",
    "WEBHOOK_MAX_BACKLOG_SECONDS": "86400",
    "DJANGO_LOG_LEVEL": "ERROR",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found; `growth` is by worker, in KiB since the first requests.

    It is empty where there were no more than those.
    """

    findings: Findings
    growth: dict[int, int]
    seconds: float
    faults: list[str]

    def lines(self, seed: int) -> list[str]:
        """Tell it in words."""
        found = self.findings
        sent = found.kinds.total()
        return [
            f"{sent:,} requests in {self.seconds:.0f} s, seed {seed}",
            "  sent: " + ", ".join(f"{kind} {n:,}" for kind, n in sorted(found.kinds.items())),
            "  answers: "
            + ", ".join(f"{code}: {n:,}" for code, n in sorted(found.statuses.items())),
            f"  cut off and therefore without an answer: {found.unanswered:,}",
            f"  accepted, and found in the ledger: {len(found.accepted):,}",
            f"  memory of the web workers since the first {STEP:,} requests: "
            + (", ".join(f"{growth / 1024:+.1f} MiB" for growth in self.growth.values()) or NONE),
            *(f"FAULT: {fault}" for fault in self.faults),
        ]


def campaign(
    service: Service, sender: Sender, requests: int, progress: Callable[[str], None]
) -> Outcome:
    """Send so many requests, and look at the answers, the ledger and the workers' memory.

    It ends at the first faults, and after half an hour.
    """
    began = time.monotonic()
    findings = Findings()
    web = service.processes["web"].pid
    before: dict[int, int] = {}
    context = get_context("spawn")  # with threads and connections of its own, nothing is forked
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        for first in range(0, requests, STEP):
            last = min(first + STEP, requests)
            middle = (first + last) // 2
            parts = pool.map(sender.send, (first, middle), (middle, last))
            for found in parts:
                findings.add(found)
            rate = last / (time.monotonic() - began)
            progress(f"{last:,} of {requests:,}, {rate:.0f}/s; {dict(findings.statuses)}")
            before = before or workers_memory(web)
            if findings.faults:
                break
            if time.monotonic() - began > LONGEST_SECONDS:
                findings.faults.append(f"not done within {LONGEST_SECONDS:.0f} s")
                break
    after = workers_memory(web)
    growth = {}
    faults = [*findings.faults, *_lost(findings), *_replaced(before, after)]
    if findings.kinds.total() > STEP:
        growth = {pid: after.get(pid, 0) - memory for pid, memory in before.items()}
        faults += _grown(growth)
    return Outcome(findings, growth, time.monotonic() - began, faults)


def secret_of(seed: int) -> str:
    """The secret of a run: the same for the same seed, as all of its requests are."""
    return "whsec_" + base64.b64encode(Random(seed).randbytes(32)).decode()


def workers_memory(master: int) -> dict[int, int]:
    """The resident memory of a web process's workers in KiB, by pid."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return {int(pid): _resident(Path(f"/proc/{pid}/status").read_text()) for pid in children}


def _resident(status: str) -> int:
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


def _lost(findings: Findings) -> list[str]:
    """Each 202 is a row of the ledger with its message, and each row was answered with 202."""
    for table, column in (("app_delivery", "message_id"), ("outbox_message", "id")):
        [[found]] = query(
            f"SELECT count(*) FROM {table} WHERE {column} = ANY(%s::uuid[])",
            list(findings.accepted),
        )
        if not found == len(findings.accepted) == count(table):
            told = f"{len(findings.accepted)} were accepted; of these {found} are in {table}"
            return [f"{told}, which has {count(table)} rows"]
    return []


def _replaced(before: dict[int, int], after: dict[int, int]) -> list[str]:
    if before.keys() == after.keys():
        return []
    return [f"the workers were {sorted(before)} and are {sorted(after)}"]


def _grown(growth: dict[int, int]) -> list[str]:
    return [
        f"worker {pid} has grown by {kib} KiB" for pid, kib in growth.items() if kib > GROWTH_KIB
    ]
