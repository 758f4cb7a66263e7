"""The parts of the intake ahead of the database, each by itself in a loop of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from django.test import RequestFactory

from app.admission import Admission, Limits
from app.payload import parse
from app.proof import Signed, prove
from benchmarks.deliveries import WEBHOOK, Delivery

PARTS = ("body and signature", "parse", "admission")
ADMISSIONS = 1_000
"""One is too quick for the clock."""


def processor_seconds(deliveries: list[Delivery], secret: str) -> dict[str, float]:
    """Seconds of the processor that a delivery takes in each part, as the mean of these."""
    requests = [
        RequestFactory().post(WEBHOOK, each.body, "application/json", headers=each.headers)
        for each in deliveries
    ]

    def prove_all() -> None:
        for request in requests:
            proof = prove(request, [secret])
            if not isinstance(proof, Signed):
                raise RuntimeError(f"a delivery is refused: {proof.content!r}")  # noqa: TRY004

    def parse_all() -> None:
        for each in deliveries:
            parse(each.body)

    number = len(deliveries)
    return {
        "body and signature": _timed(prove_all) / number,
        "parse": _timed(parse_all) / number,
        "admission": _timed(partial(_admit, ADMISSIONS)) / ADMISSIONS,
    }


def _admit(times: int) -> None:
    """What a request asks of a door that is open, and tells it."""
    admission = Admission(Limits(backlog=10_000, late=60.0))
    for _ in range(times):
        if admission.closed():
            raise RuntimeError("the door is closed")
        with admission.storing():
            admission.stored()


def _timed(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
