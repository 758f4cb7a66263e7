"""A receiver that the tests can read and steer, in place of the network."""

from __future__ import annotations

import httpx


class Receiver:
    """Answers 202; what `answers` holds is answered, or raised, first."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response | Exception] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(202)
        if isinstance(answer, Exception):
            raise answer
        return answer
